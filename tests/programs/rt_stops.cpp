// Stops that a debugger makes, timed by the program: goroutines that are parked, and a function, tick(), to break on.
//
//   rt_stops GOROUTINES TICKS
//
// Between two ticks one goroutine is woken and parks again. In the end it prints the mean time of a tick, in microseconds,
// the first left out: what a stop takes with all that the debugger does at one.
#include <stacktide/channel.h>

#include <cstdlib>
#include <ctime>
#include <vector>

#include "rt_support.h"

double now_us() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

[[gnu::noinline]] void tick(int n) { asm volatile("" ::"r"(n) : "memory"); }

void parked(stacktide::channel<int> wake, stacktide::channel<int> woken) {
  while (auto n = wake.recv()) woken.send(*n);
}

int main(int argc, char** argv) {
  const int goroutines = argc > 1 ? std::atoi(argv[1]) : 10;
  const int ticks = argc > 2 ? std::atoi(argv[2]) : 10;
  stacktide::run([=] {
    auto wake = stacktide::channel<int>::make();
    auto woken = stacktide::channel<int>::make();
    for (int i = 0; i < goroutines; ++i) stacktide::go(parked, wake, woken);
    while (wake.waiting() < static_cast<std::size_t>(goroutines)) stacktide::yield();
    double start = 0;
    for (int i = 0; i <= ticks; ++i) {
      if (i == 1) start = now_us();
      tick(i);
      wake.send(i);
      RT_CHECK(woken.recv() == i);
    }
    std::printf("%.0f us a tick\n", (now_us() - start) / ticks);
    std::fflush(stdout);
    std::_Exit(0);
  });
}
