// `goroutine next` and `goroutine finish`: steps that know a frame by its distance from the top of its goroutine's stack.
//
// Concept. Core plans the step (stacktide/core/step.h) and judges each stop; here are LLDB's breakpoints for it, set for the
// step and gone after it, and what LLDB prints. The process is resumed synchronously, stop by stop, whatever the debugger's
// mode is: without callbacks each stop is seen once, with all threads that came to a breakpoint at the same time.
//
// Invariants. Whatever else stops the process (a breakpoint of the user's, a signal, its end) ends the step and is shown.
// One Stepper serves one command; its session lives through the stops of the step, and reads nothing that it keeps.
#pragma once

#include <lldb/API/LLDB.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stacktide/core/step.h"
#include "target_state.h"

namespace stacktide::lldb_plugin {

class Stepper {
 public:
  Stepper(lldb::SBDebugger& debugger, TargetState& state) : debugger_(debugger), state_(state) {}

  // What to print. Errors: no_such_goroutine when the selected thread runs none; those of Step::plan(); not_supported on a
  // core.
  Result<std::string> next(std::uint64_t count);
  Result<std::string> finish();

 private:
  // How a step ended: the thread that is where it should be, or nothing, when something else stopped the process.
  struct End {
    lldb::SBThread thread;
    bool returned = false;
  };
  Result<Step> plan(lldb::SBProcess& process, StepKind kind);
  Result<std::optional<End>> run(lldb::SBProcess& process, Step& step);
  Result<std::optional<End>> judge(lldb::SBProcess& process, Step& step, bool& users_own, bool& more);
  void add_breakpoints(const Step& step);
  void count_hits();
  bool is_users(lldb::SBThread& thread);
  bool is_ours(lldb::break_id_t id) const;
  std::string other_stop(lldb::SBProcess& process);

  lldb::SBDebugger& debugger_;
  TargetState& state_;
  std::optional<Session> session_;
  std::vector<lldb::SBBreakpoint> breakpoints_;
  std::vector<Address> set_at_;
  std::map<lldb::break_id_t, std::uint32_t> hits_;  // of all breakpoints, before the last resumption
};

}  // namespace stacktide::lldb_plugin
