// `goroutine trace`: stack events as they happen; core's Trace does the reading, choosing and wording.
//
// Concept. A breakpoint at the first instruction (by name LLDB would skip a prologue) of an empty function of the runtime's:
// the one that it calls each time an event ring is half full of new events, or, for --stop and --bt, the one that it calls
// at each event. Its callback prints what core returns, and lets the program go on. It is set on the target, so it may be
// set before the program runs, and stays over several runs. A stop hook of LLDB's prints what is new at each stop that the
// user sees.
//
// Invariants. LLDB runs the callback once the stop is public, on the thread that handles its events, so SB calls are safe
// there; nothing may be thrown out of it. Commands may come from another thread at the same time: one lock for all. Text
// goes to the debugger's output file at once, in one write, so that it keeps its order against what the commands of a batch
// print.
#pragma once

#include <lldb/API/LLDB.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "stacktide/core/trace.h"

namespace stacktide::lldb_plugin {

class EventTrace {
 public:
  EventTrace(lldb::SBDebugger debugger, lldb::SBTarget target) : debugger_(debugger), target_(target) {}
  EventTrace(const EventTrace&) = delete;
  EventTrace& operator=(const EventTrace&) = delete;
  ~EventTrace();

  // The words after `goroutine trace`; what to print. Errors: usage; not_supported on a core; no_symbols when the program
  // has no such function.
  Result<std::string> run(const std::vector<std::string>& words, const CommandOptions& options);

 private:
  Result<std::string> on(const std::vector<std::string>& words);
  Result<void> set_breakpoint(Trace& trace);
  lldb::SBAddress find_hook(const TraceHook& hook);
  void off();
  bool is_on() const { return breakpoint_.IsValid(); }
  // What is new, at a stop that is not the breakpoint's.
  std::string collect();

  static bool hit(void* self, lldb::SBProcess& process, lldb::SBThread& thread, lldb::SBBreakpointLocation& location);
  bool at_hook(lldb::SBProcess& process, lldb::SBThread& thread);
  Result<TraceOutput> collect_from(lldb::SBProcess& process, const TraceStop& stop);
  Session& session(lldb::SBProcess& process);
  void print(const std::string& text);
  void add_stop_hook();
  void delete_stop_hook();

  lldb::SBDebugger debugger_;
  lldb::SBTarget target_;

  std::mutex mutex_;  // guards what follows
  lldb::SBBreakpoint breakpoint_;
  std::vector<std::string> words_;  // of `trace on`
  std::unique_ptr<Trace> trace_;    // of the last `trace on`; nullptr before
  std::string problem_;             // the last that was printed: not at each of a thousand stops
  std::string stop_hook_;           // LLDB's number for it, "" none

  // Events come while the program runs, and each stop would need a new session with all that it knows of files. This one
  // serves as long as the modules do: core reads the rings afresh, and keeps only what it knows of files.
  std::unique_ptr<Session> session_;
  std::uint32_t process_id_ = 0;
  std::uint32_t module_count_ = 0;
};

}  // namespace stacktide::lldb_plugin
