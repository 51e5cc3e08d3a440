// Many goroutines (default 100,000) that each build a string and a vector and call snprintf, then park: the library runs on
// the thread's stack, so no goroutine's stack ever grew beyond 2 KiB.
//
//   rt_library [GOROUTINES] [hold]
//
// With `hold` it prints `ready` when all are parked and waits for the end of its input, so that the tools can look.
#include <cstring>
#include <string>
#include <vector>

#include "rt_support.h"

namespace {

// One function for each, so that also unoptimised frames fit.
[[gnu::noinline]] bool build_a_string(int i) {
  std::string text = "goroutine ";
  text += std::to_string(i);
  text.append(" says something that does not fit in place");
  return text.size() > 52 && text.compare(0, 10, "goroutine ") == 0;
}

[[gnu::noinline]] bool build_a_vector(int i) {
  std::vector<int> values;
  for (int j = 0; j < 20; ++j) values.push_back(i + j);
  return values.size() == 20 && values.front() == i && values.back() == i + 19;
}

[[gnu::noinline]] bool print(int i) {
  char line[128];
  const int n = std::snprintf(line, sizeof line, "%d %d %d %d %d %d %d %d %d %d %d %d %.2f %.3e %.1Lf %.1Lf %.1Lf %.1Lf", i,
                              1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0.25, 1.0e10, 1.5L, 2.5L, 3.5L, 4.5L);
  const char* rest = std::strchr(line, ' ');
  return std::atoi(line) == i && rest != nullptr &&
         std::strcmp(rest, " 1 2 3 4 5 6 7 8 9 10 11 0.25 1.000e+10 1.5 2.5 3.5 4.5") == 0 &&
         n == static_cast<int>(std::strlen(line));
}

void worker(int i, stacktide::channel<int> release, stacktide::wait_group finished) {
  RT_CHECK(build_a_string(i) && build_a_vector(i) && print(i));
  const stacktide::stack_numbers before = stacktide::stack_info();
  RT_CHECK(before.size == 2048 && before.grows == 0 && before.links == 0);
  RT_CHECK(!release.recv().has_value());
  const stacktide::stack_numbers stack = stacktide::stack_info();
  RT_CHECK(stack.size == 2048 && stack.grows == 0 && stack.links == 0 && stack.high_water < 2048 - 928 + 256);
  finished.done();
}

}  // namespace

int main(int argc, char** argv) {
  const int n = argc > 1 ? std::atoi(argv[1]) : 100'000;
  const bool hold = argc > 2 && std::strcmp(argv[2], "hold") == 0;
  stacktide::run([n, hold] {
    auto release = stacktide::channel<int>::make();
    stacktide::wait_group finished;
    finished.add(n);
    for (int i = 0; i < n; ++i) stacktide::go(worker, i, release, finished);
    while (release.waiting() < static_cast<std::size_t>(n)) stacktide::yield();
    if (hold) {
      stacktide::blocking([] {
        std::puts("ready");
        std::fflush(stdout);
        while (std::getchar() != EOF) {
        }
      });
    }
    release.close();
    finished.wait();
  });
  std::printf("%d goroutines: right\n", n);
}
