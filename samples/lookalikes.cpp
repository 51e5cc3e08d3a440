// lookalikes [MOVES [--wait]]: numbers that equal addresses of the goroutine's own stack, in a stack that moves MOVES times
// (default 1000).
//
// A copied stack's pointers are found by their values. A long, a double or two ints side by side may have the value of such
// a pointer and must not be changed; only a stack map can tell. It exits with 1 when a value changed, as it does with
// STACKTIDE_ADJUST=scan.
// --wait: with such numbers in its frames it says `ready`, and waits for the end of its input; then `stacktide audit` names
// them.
#include <stacktide/channel.h>
#include <stacktide/runtime.h>

#include <unistd.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

struct Reading {
  long when;
  double value;
  int low;
  int high;
};

// What the frames should hold, kept in the heap: nothing there is ever adjusted.
struct Expected {
  std::uint64_t address = 0;
  std::uint64_t moves = 0;
  bool changed = false;
  bool wait = false;
  stacktide::channel<int> release;
};

constexpr int kLongs = 12;
constexpr int kDoubles = 8;

// Not inlined: the numbers must lie in memory, in the caller's frame.
[[gnu::noinline]] void fill(long* longs, double* doubles, Reading* reading, std::uint64_t address) {
  for (int i = 0; i < kLongs; ++i) longs[i] = static_cast<long>(address) + 8 * i;
  for (int i = 0; i < kDoubles; ++i) doubles[i] = std::bit_cast<double>(address + 8 * static_cast<std::uint64_t>(i));
  *reading = {static_cast<long>(address), std::bit_cast<double>(address), static_cast<int>(address),
              static_cast<int>(address >> 32)};
}

void complain(Expected& expected, const char* what, int index, std::uint64_t now, std::uint64_t wanted) {
  if (!expected.changed) std::printf("changed: %s[%d] is %#lx, was %#lx\n", what, index, now, wanted);
  expected.changed = true;
}

[[gnu::noinline]] void look(const long* longs, const double* doubles, const Reading* reading, Expected& expected) {
  const std::uint64_t address = expected.address;
  for (int i = 0; i < kLongs; ++i) {
    const auto wanted = address + 8 * static_cast<std::uint64_t>(i);
    if (static_cast<std::uint64_t>(longs[i]) != wanted)
      complain(expected, "longs", i, static_cast<std::uint64_t>(longs[i]), wanted);
  }
  for (int i = 0; i < kDoubles; ++i) {
    const auto now = std::bit_cast<std::uint64_t>(doubles[i]);
    const auto wanted = address + 8 * static_cast<std::uint64_t>(i);
    if (now != wanted) complain(expected, "doubles", i, now, wanted);
  }
  const auto ints =
      static_cast<std::uint64_t>(static_cast<std::uint32_t>(reading->low)) | static_cast<std::uint64_t>(reading->high) << 32;
  const std::uint64_t parts[] = {static_cast<std::uint64_t>(reading->when), std::bit_cast<std::uint64_t>(reading->value),
                                 ints};
  for (int i = 0; i < 3; ++i) {
    if (parts[i] != address) complain(expected, "reading", i, parts[i], address);
  }
}

// Needs room, so that the stack grows. Back where it came from, a changed number could have its old value again, so it looks
// from here.
[[gnu::noinline]] int deeper(int levels, const long* longs, const double* doubles, const Reading* reading,
                             Expected& expected) {
  volatile char room[400];
  room[0] = 1;
  if (levels > 0) return deeper(levels - 1, longs, doubles, reading, expected) + room[0];
  look(longs, doubles, reading, expected);
  return room[0];
}

[[gnu::noinline]] void hold(Expected& expected) {
  long longs[kLongs];
  double doubles[kDoubles];
  Reading reading;
  const stacktide::stack_numbers before = stacktide::stack_info();
  expected.address = before.hi - 64;
  fill(longs, doubles, &reading, expected.address);
  if (expected.wait) {
    expected.release.recv();
  } else {
    deeper(20, longs, doubles, &reading, expected);
    while (stacktide::shrink_stacks() != 0) {
    }
  }
  look(longs, doubles, &reading, expected);
  const stacktide::stack_numbers after = stacktide::stack_info();
  expected.moves += after.grows + after.shrinks - before.grows - before.shrinks;
}

}  // namespace

int main(int argc, char** argv) {
  const bool wait = argc == 3 && std::string_view(argv[2]) == "--wait";
  const long moves = argc > 1 ? std::atol(argv[1]) : 1000;
  if (moves < 1 || argc > (wait ? 3 : 2)) {
    std::fprintf(stderr,
                 "lookalikes: wants a number of moves from 1 on, and perhaps --wait, as in: lookalikes 1000 --wait\n");
    return 2;
  }
  auto* expected = new Expected;
  stacktide::run([expected, moves, wait] {
    while (expected->moves < static_cast<std::uint64_t>(moves) && !expected->changed) hold(*expected);
    if (!wait) return;
    expected->wait = true;
    expected->release = stacktide::channel<int>::make();
    auto finished = stacktide::channel<int>::make();
    stacktide::go([expected, finished]() mutable {
      hold(*expected);
      finished.close();
    });
    while (expected->release.waiting() == 0) stacktide::yield();
    stacktide::blocking([] {
      std::puts("ready");
      std::fflush(stdout);
      for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
      }
    });
    expected->release.close();
    finished.recv();
  });
  std::printf("%lu moves, %d numbers that equal addresses of the stack: %s\n", expected->moves, kLongs + kDoubles + 3,
              expected->changed ? "changed" : "unchanged");
  const int status = expected->changed ? 1 : 0;
  delete expected;
  return status;
}
