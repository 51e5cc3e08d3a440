// The command `goroutine`, and `info goroutines`.
//
// Concept. One LLDB command with words of its own, since LLDB's multiword commands take no numbers as subcommands. Words of
// core's table go to core unchanged; the rest (a goroutine's id, all, thread, threads, trace, help) is about LLDB's
// selection and threads.
//
// Invariants. Every failure is one line, "error: stacktide: ...". No exception leaves DoExecute: LLDB would abort.
// `goroutine ID CMD` puts the selection back, unless the process went on meanwhile.
#pragma once

#include <lldb/API/LLDB.h>

#include <memory>
#include <string>
#include <vector>

#include "target_state.h"

namespace stacktide::lldb_plugin {

// Adds the commands to the debugger, which owns them and, through them, all state. False when LLDB refuses.
bool add_goroutine_commands(lldb::SBDebugger& debugger);

class GoroutineCommand : public lldb::SBCommandPluginInterface {
 public:
  // `prefix`: words put before those that the user typed ("list" for `info goroutines`).
  GoroutineCommand(std::shared_ptr<Targets> targets, std::vector<std::string> prefix)
      : targets_(std::move(targets)), prefix_(std::move(prefix)) {}
  bool DoExecute(lldb::SBDebugger debugger, char** words, lldb::SBCommandReturnObject& result) override;

 private:
  std::shared_ptr<Targets> targets_;
  std::vector<std::string> prefix_;
};

}  // namespace stacktide::lldb_plugin
