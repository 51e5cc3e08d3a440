// samples/park as the subject of a test: started, with the numbers that it measured of its own stacks beside those that a
// tool lists.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/process.h"

namespace stacktide::test {

// Waits until samples/park says "ready" and reads its input. Its word arrives while it is still in libc's stdio, where LLDB
// loses its way, and not yet at the line where a second look finds it.
void wait_until_parked(Child& child);

struct Park {
  // Runs `program` (samples/park or a copy) until it is parked.
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
