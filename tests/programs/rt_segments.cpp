// Goroutines on chains of segments, for tools to look at. Run it with STACKTIDE_SEGMENT=2048.
//
//   rt_segments
//
// deep() waits below several segments; loop() has called crossing() kTurns times, each time on a segment of its own, and waits. Prints what
// deep() measured of its stack, `ready`, and ends with its input. Not in an unnamed namespace: LLDB 19 loses such names at -O2.
#include <unistd.h>

#include <algorithm>

#include "rt_support.h"

constexpr int kDepth = 5;
constexpr int kTurns = 1000;

using Channel = stacktide::channel<int>;

// Needs about 1 KiB, so a segment of 2 KiB holds no two of them.
[[gnu::noinline]] int deep(int depth, Channel release, stacktide::stack_numbers* measured) {
  volatile char room[900];
  room[0] = static_cast<char>(depth);
  int result = 0;
  if (depth > 0) {
    result = deep(depth - 1, release, measured);
  } else {
    *measured = stacktide::stack_info();
    result = release.recv().value_or(0);
  }
  return result + room[0];
}

// Needs more than any segment of the smallest size has.
[[gnu::noinline]] int crossing(int turn) {
  volatile char room[1500];
  room[turn] = 1;
  return room[turn];
}

[[gnu::noinline]] void loop(Channel release) {
  int sum = 0;
  for (int turn = 0; turn < kTurns; ++turn) sum += crossing(turn);
  RT_CHECK(sum == kTurns && !release.recv().has_value());
}

[[gnu::noinline]] void wait_for_end() {
  for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
  }
}

int main() {
  stacktide::stack_numbers measured{};
  stacktide::run([&measured] {
    auto release = Channel::make();
    stacktide::go([release, &measured] { RT_CHECK(deep(kDepth, release, &measured) == kDepth * (kDepth + 1) / 2); });
    stacktide::go(loop, release);
    while (release.waiting() < 2) stacktide::yield();
    std::printf("%lu segments, %lu bytes, %lu used\nready\n", measured.segments, measured.size, measured.used);
    std::fflush(stdout);
    stacktide::blocking([] { wait_for_end(); });
    release.close();
    while (release.waiting() > 0) stacktide::yield();
  });
}
