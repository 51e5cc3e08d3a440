// What the plugin knows about one LLDB target: the session of the current stop, and the goroutines that are threads.
//
// Concept. LLDB hands a plugin no place on its targets to keep things, so the debugger's commands share one Targets object,
// which LLDB owns through them, and it keeps a TargetState per SBTarget. Nothing is static (but for the table of
// handle_summaries.h): two debuggers in one process (lldb-dap) share nothing. States of deleted targets go at the next
// command.
//
// Invariants. A Session is used for one stop of one process only (SBProcess::GetUniqueID and GetStopID); a changed stop
// drops it. All but list_threads() is called on the thread that runs commands.
#pragma once

#include <lldb/API/LLDB.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "event_trace.h"
#include "goroutine_threads.h"
#include "handle_summaries.h"
#include "stacktide/core/command.h"

namespace stacktide::lldb_plugin {

// At most this many goroutines become threads unless the user gives a limit. At each stop LLDB 19 looks every thread up in
// lists, from their beginning, so the time grows with the square: 0.06 s a stop with 2,000, 0.46 s with 10,000
// (bench_stops). It also needs some 16 KiB for each.
inline constexpr std::uint64_t kDefaultThreadLimit = 2'000;

class TargetState {
 public:
  TargetState(lldb::SBDebugger debugger, lldb::SBTarget target);

  lldb::SBTarget& target() { return target_; }
  bool is_of(const lldb::SBTarget& target) const { return target_ == target; }
  bool is_valid() const { return target_.IsValid(); }

  // A process that stands still. Errors: not_supported, saying what to do.
  Result<lldb::SBProcess> process();
  // The session of this stop. Errors: those of process().
  Result<Session*> session();

  // The thread that this goroutine is, or becomes. Errors: not_supported, damaged_data when it has no saved context.
  Result<lldb::SBThread> thread_of(Goroutine& goroutine);
  // Turns goroutines into threads now and at every later stop.
  struct ThreadCounts {
    std::uint64_t added = 0;     // threads now
    std::uint64_t running = 0;   // on an OS thread of their own
    std::uint64_t left_out = 0;  // beyond the limit
    std::uint64_t without = 0;   // without a saved context: dead, damaged
    bool started = true;         // false: the program has not come to its runtime yet; threads will be at later stops
  };
  Result<ThreadCounts> threads_on(std::uint64_t limit);
  void threads_off();
  bool threads_are_on() const { return limit_ != 0; }
  // Takes out of LLDB's list the threads that thread_of() added since keep(), while the list as a whole is off.
  void drop_unkept_threads();
  void keep(std::uint64_t goroutine) { kept_.insert(goroutine); }

  // Where `goroutine thread` goes back to: the OS thread that was selected before a goroutine was; 0 none.
  std::uint64_t previous_thread = 0;

  EventTrace& trace() { return trace_; }

 private:
  std::vector<ThreadRecord> list_threads();
  std::optional<ThreadRecord> record_of(Session& session, Goroutine& goroutine);
  void forget_ended(Snapshot& snapshot);
  void tell_left_out(std::uint64_t shown, std::uint64_t left_out);
  void forget_stop();

  lldb::SBDebugger debugger_;
  lldb::SBTarget target_;
  std::unique_ptr<Session> session_;
  std::uint32_t process_id_ = 0;  // SBProcess::GetUniqueID of session_
  std::uint32_t stop_id_ = 0;
  std::set<std::uint64_t> kept_;  // goroutines that stay threads until the process goes on

  // Shared with list_threads(), which LLDB may call on its private state thread.
  std::atomic<std::uint64_t> limit_ = 0;       // of `goroutine threads on`; 0: off
  std::atomic<std::uint32_t> on_process_ = 0;  // the process that it was turned on for
  std::atomic<bool> told_left_out_ = false;    // that there are more goroutines than threads
  std::mutex names_mutex_;
  struct Named {
    std::string name;
    std::string entry;
    std::uint64_t generation = 0;
  };
  std::unordered_map<std::uint64_t, Named> names_;  // goroutine id -> the name its thread has

  GoroutineThreads threads_;
  EventTrace trace_;
};

class Targets {
 public:
  explicit Targets(lldb::SBDebugger debugger) : debugger_(debugger) {}
  // The state of the selected target. Errors: not_supported when there is none.
  Result<TargetState*> selected();
  const std::shared_ptr<HandleSessions>& handle_sessions() const { return handle_sessions_; }

 private:
  lldb::SBDebugger debugger_;
  std::shared_ptr<HandleSessions> handle_sessions_ = std::make_shared<HandleSessions>();
  std::vector<std::unique_ptr<TargetState>> states_;
};

}  // namespace stacktide::lldb_plugin
