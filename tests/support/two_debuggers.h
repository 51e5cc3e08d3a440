// One script, run in GDB and in LLDB.
//
// Commands are as both have them (`goroutine ...`, `continue`, `detach`); what they spell differently is written here:
// "@run ARGUMENTS" starts the program with its output in a file, "@break FUNCTION" sets a breakpoint, "@environment
// NAME=VALUE" comes before the run.
#pragma once

#include <string>
#include <vector>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/process.h"

namespace stacktide::test {

enum class Debugger { gdb, lldb };

struct TwoDebuggersSession {
  std::vector<std::string> blocks;  // what each command printed; LLDB stops at the first that fails
  std::string errors;               // LLDB's stderr; GDB's errors stand in the blocks
  std::string printed;              // by the program
  std::string all;                  // for messages

  const std::string& operator[](std::size_t n) const { return blocks.at(n); }
};

// Throws when the debugger crashed, or GDB did not get to the end.
TwoDebuggersSession run_script(Debugger debugger, const std::string& program, const std::vector<std::string>& script);
const char* name_of(Debugger debugger);

// A copy of the program, in `folder`, with another name for the hook of half-full rings: as a runtime that has only the one
// at each event.
std::string with_event_hook_only(const TempDir& folder, const std::string& program);

}  // namespace stacktide::test
