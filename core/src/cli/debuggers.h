// `stacktide gdb`, `stacktide lldb` and `stacktide setup`: debuggers with everything loaded.
//
// Concept. The scripts and the plugin lie at fixed places beside this program, in a build tree and once installed. `gdb` and
// `lldb` become the debugger (exec), which is told to load them before anything else; the user's arguments follow unchanged,
// so all that the debugger can do on a command line works. `setup` prints what a person puts into the debugger's own init
// file instead.
//
// These words come before any option of ours, since what follows them is the debugger's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stacktide::cli {

// What happened: the exit code, text for stdout, lines for stderr.
struct Done {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// Runs argv[1] if it is one of the three; nothing otherwise. Does not return when a debugger starts.
std::optional<Done> run_debugger(int argc, char** argv);
// What `help gdb` prints; nothing for other words.
std::optional<std::string> debugger_help(std::string_view word);
// The rows of these in `--help`.
std::string debugger_usage();

}  // namespace stacktide::cli
