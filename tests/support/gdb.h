// Real GDB sessions for tests: commands in, one block of text per command out.
//
// Concept. GDB's exit status is that of its last command only, so a test looks at text. Each command runs between two lines
// of our own; what stands between them, on stdout and stderr together, is its block. GDB is the system's, unmodified: no
// init files, no pager.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/process.h"

namespace stacktide::test {

struct GdbOptions {
  std::vector<std::string> arguments;  // of gdb itself: {"-p", "4242"} or {"program", "core"}
  bool commands = true;                // source stacktide_gdb.py first
  Timeout timeout{120'000};
};

class GdbSession {
 public:
  // Runs the commands in one batch GDB. Throws when GDB did not get to the end of them.
  GdbSession(const std::vector<std::string>& commands, const GdbOptions& options = {});

  // What the command printed. The first of several equal commands; throws when there was none.
  const std::string& of(std::string_view command) const;
  // By position.
  const std::string& at(std::size_t index) const { return blocks_.at(index); }
  // All that GDB printed, for messages of failed checks.
  const std::string& all() const { return all_; }

 private:
  std::vector<std::string> commands_;
  std::vector<std::string> blocks_;
  std::string all_;
};

// One line of GDB's `bt`.
struct GdbFrame {
  std::string function;  // without arguments
  std::string place;     // "park.cpp:32", "" without debug info
};
std::vector<GdbFrame> gdb_frames(std::string_view backtrace);
// The functions of its first and last line; "" when there is no line.
std::string innermost(std::string_view backtrace);
std::string outermost(std::string_view backtrace);

std::vector<std::string> lines_of(std::string_view text);
// build/python/stacktide_gdb.py
std::string gdb_script();
// Whether these programs can be run; tests that need others say so and return.
bool installed(std::string_view program);

}  // namespace stacktide::test
