// `goroutine trace`: one line per stack event as it happens.
//
// Concept. The runtime calls an empty function after each growth or shrink, with the event record's address in rdi and a
// code address in rsi. A breakpoint at its first instruction (by name LLDB would skip a prologue) with a callback of ours
// prints core's line for that record and lets the program go on. It is set on the target, so it may be set before the
// program runs.
//
// Invariants. The program never stops for the user. LLDB runs the callback once the stop is public, on the thread that
// handles its events, so SB calls are safe there; nothing may be thrown out of it. Lines go to the debugger's output file at
// once, whole, so that they keep their order against what the commands of a batch print.
#pragma once

#include <lldb/API/LLDB.h>

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "stacktide/core/command.h"

namespace stacktide::lldb_plugin {

class EventTrace {
 public:
  EventTrace(lldb::SBDebugger debugger, lldb::SBTarget target) : debugger_(debugger), target_(target) {}
  EventTrace(const EventTrace&) = delete;
  EventTrace& operator=(const EventTrace&) = delete;
  ~EventTrace();

  // Sets the breakpoint; what to tell the user. Errors: not_supported on a core, no_symbols when the program has no such
  // function.
  Result<std::string> on();
  void off();
  // The last lines, then the totals.
  std::string show() const;
  bool is_on() const;

 private:
  static bool hit(void* self, lldb::SBProcess& process, lldb::SBThread& thread, lldb::SBBreakpointLocation& location);
  void event(lldb::SBProcess& process, lldb::SBThread& thread);
  Result<std::string> describe_event(lldb::SBProcess& process, lldb::SBThread& thread);
  Session& session(lldb::SBProcess& process);
  void print(const std::string& line);

  static constexpr std::size_t kKept = 10'000;  // lines for show(); the totals count all

  lldb::SBDebugger debugger_;
  lldb::SBTarget target_;
  lldb::SBBreakpoint breakpoint_;

  // Events come while the program runs, and each stop would need a new session with all that it knows of files. This one
  // serves as long as the modules do: describing an event reads nothing else that changes.
  std::unique_ptr<Session> session_;
  std::uint32_t process_id_ = 0;
  std::uint32_t module_count_ = 0;

  mutable std::mutex seen_mutex_;
  std::deque<std::string> lines_;
  std::map<std::string, std::uint64_t> totals_;  // by core's verb: grew, shrank, ...
  std::uint64_t seen_ = 0;
  std::uint64_t unreadable_ = 0;
};

}  // namespace stacktide::lldb_plugin
