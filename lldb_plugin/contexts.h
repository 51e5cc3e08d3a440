// LLDB commands, and core's, on chosen goroutines: `goroutine ID [CMD]`, `goroutine all CMD`, `goroutine apply ID... CMD`.
//
// Concept. A goroutine is a context for LLDB's commands once it is LLDB's selected thread. CMD is core's where core's table
// has it for one goroutine, and LLDB's own else. Output goes to the command's result, in one piece for each goroutine.
//
// Invariants. What was selected is put back, unless the process went on meanwhile.
#pragma once

#include <lldb/API/LLDB.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "target_state.h"

namespace stacktide::lldb_plugin {

class Contexts {
 public:
  using Words = std::vector<std::string>;

  // All three outlive it.
  Contexts(lldb::SBDebugger& debugger, Targets& targets, lldb::SBCommandReturnObject& result)
      : debugger_(debugger), targets_(targets), result_(result) {}

  Result<void> on_goroutine(std::uint64_t id, const Words& words);
  Result<void> on_all(const Words& words);
  Result<void> apply(const Words& words);
  // A command of core's table. Its problems become LLDB's errors and warnings.
  Result<void> core_command(const Words& words);

 protected:
  // What was selected, to put it back.
  struct Selection {
    std::uint64_t tid = 0;
    std::uint32_t frame = 0;
  };
  static Selection selection(lldb::SBProcess& process);
  // As it is, without a newline of LLDB's.
  void out(std::string_view text);
  void describe_thread(lldb::SBThread& thread);
  // As core's commands are run at this prompt.
  CommandOptions options(TargetState& state);

  lldb::SBDebugger& debugger_;
  Targets& targets_;
  lldb::SBCommandReturnObject& result_;

 private:
  // Which goroutines a command is for, and how much is said about each.
  struct Wanted {
    std::vector<std::uint64_t> ids;
    bool quiet = false;
    bool silent = false;
  };
  void restore(TargetState& state, lldb::SBProcess& process, const Selection& selected);
  Result<lldb::SBThread> select(TargetState& state, Goroutine& goroutine);
  std::optional<std::string> host_command(const std::string& line, lldb::SBThread& thread, std::string& text);
  Result<void> core_command_on_each(Session& session, const Wanted& wanted, const Words& words);
  void name(Session& session, std::uint64_t id, const Wanted& wanted);
  Result<void> on_each(TargetState& state, Session& session, const Wanted& wanted, const Words& words);
  bool interrupted();
};

}  // namespace stacktide::lldb_plugin
