// The monitor thread from outside.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <poll.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/park.h"

using namespace stacktide::test;

namespace {

// How often the threads of a process were switched to or from.
long switches(pid_t pid) {
  long sum = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    std::ifstream status(thread.path() / "status");
    for (std::string word; status >> word;) {
      long n = 0;
      if (word.ends_with("voluntary_ctxt_switches:") && status >> n) sum += n;
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("no thread runs while all goroutines wait: the monitor sleeps too") {
  // A monitor that looked at the Ps would be seen at least every 10 ms. Some time passes before it has nothing to do: it halves stacks first.
  const Park park(40, sample_program("park"), {"STACKTIDE_MAXPROCS=2"});
  const auto end = std::chrono::steady_clock::now() + kTimeout;
  long during = -1;
  while (during != 0 && std::chrono::steady_clock::now() < end) {
    const long before = switches(park.child.pid());
    // The measure's own length: what is measured is that nothing happens in it.
    poll(nullptr, 0, 300);
    during = switches(park.child.pid()) - before;
  }
  CHECK(during == 0);
}
