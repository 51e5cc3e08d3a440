// samples/park as the subject of a test: started, with the numbers that it measured of its own stacks beside those that a
// tool lists.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/process.h"

namespace stacktide::test {

struct Park {
  // Runs `program` (samples/park or a copy) until it says "ready" and waits for its input: LLDB loses its way in libc's
  // stdio, so no debugger should find it there.
  explicit Park(int goroutines, const std::string& program = sample_program("park"), std::vector<std::string> env = {});
  std::string table() const { return folder / "table"; }

  TempDir folder;
  Child child;
};

// "park.cpp:32" for the first line of samples/park.cpp that holds this text.
std::string place_in_park(std::string_view text);
// "id size used headroom grows" of each goroutine that the program measured, sorted as text.
std::vector<std::string> measured(const Park& park);
// The same of `list --json`, of the goroutines that wait.
std::vector<std::string> listed(const std::string& json);

}  // namespace stacktide::test
