// Real LLDB sessions for tests: `lldb --batch` with the built plugin, its output cut at the commands.
//
// In batch mode LLDB repeats each command as "(lldb) COMMAND" before its output and stops at the first that fails; errors go
// to stderr. LLDB's exit status says nothing about the output, so tests look at the text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/gdb.h"  // lines_of
#include "support/process.h"

namespace stacktide::test {

struct LldbSession {
  std::vector<std::string> blocks;  // what each command printed, in order; those after a failed one are missing
  std::string err;                  // stderr as a whole
  std::string out;                  // stdout as a whole, for messages
  int exit_code = 0;

  // The output of the n-th command; throws std::out_of_range with all output when LLDB did not get that far.
  const std::string& operator[](std::size_t n) const;
};

// Runs the commands after `plugin load`, which is not counted. Throws when LLDB crashed.
LldbSession lldb(const std::vector<std::string>& commands, const StartOptions& options = {});

// One frame as LLDB and `goroutine bt` both show it: "park.cpp:32", or the function where there is no line.
// "(lldb) bt": "    frame #2: 0x... park`f(x=1) at park.cpp:32:15"; core: "#2   0x...  0x...  240  in f (x=1) at
// /src/park.cpp:32".
std::vector<std::string> frame_lines(std::string_view backtrace);

// How often `part` occurs.
std::size_t occurrences(std::string_view text, std::string_view part);

}  // namespace stacktide::test
