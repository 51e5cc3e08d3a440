// 200 goroutines, MOVABLE, that grow from 2 KiB to 1 MiB and shrink back, in step, with pointers to locals through all
// frames. What each one counted by itself must be what the runtime counted.
//
//   rt_movable [GOROUTINES [BYTES]]
//
// With STACKTIDE_STRESS=move each check moves the stack as well; sizes and counters are the same.
#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "rt_support.h"

namespace {

struct Counted {
  std::uint64_t size = 0;
  std::uint64_t grows = 0;
  std::uint64_t shrinks = 0;
  std::uint64_t largest = 0;
  std::uint64_t moves = 0;
  std::uint64_t lo = 0;

  void look() {
    const stacktide::stack_numbers now = stacktide::stack_info();
    if (now.size > size) grows += static_cast<std::uint64_t>(std::countr_zero(now.size) - std::countr_zero(size));
    if (now.size < size) shrinks += static_cast<std::uint64_t>(std::countr_zero(size) - std::countr_zero(now.size));
    if (now.size > largest) largest = now.size;
    if (now.lo != lo) ++moves;
    size = now.size;
    lo = now.lo;
    RT_CHECK(now.segments == 1 && now.links == 0 && now.hi - now.lo == now.size && now.used <= now.size);
    RT_CHECK(now.high_water <= now.size || shrinks > 0);
  }
};

struct Link {
  Link* above;
  int number;
  std::string text;
};

// Recurses until the stack has `wanted` bytes; returns the number of frames. Everything points at locals of other frames.
[[gnu::noinline]] int descend(std::uint64_t wanted, Link* above, Counted& counted, int* first, std::string& trail) {
  Link link{above, above->number + 1, {}};
  if (link.number % 64 == 0) link.text = "frame " + std::to_string(link.number);
  counted.look();
  if (link.number % 256 == 0) trail += static_cast<char>('a' + link.number / 256 % 26);
  int frames = 0;
  if (counted.size < wanted) {
    frames = descend(wanted, &link, counted, first, trail);
  } else {
    // At the bottom: follow the links to the top.
    int expected = link.number;
    const Link* at = &link;
    for (; at->above != nullptr; at = at->above) RT_CHECK(at->number == expected--);
    RT_CHECK(at->number == 0 && *first == 4711);
  }
  RT_CHECK(link.above == above && link.number == above->number + 1);
  RT_CHECK(link.number % 64 != 0 || link.text == "frame " + std::to_string(link.number));
  return frames + 1;
}

// So deep that it grows, and never beyond what descend() reached.
constexpr int kReturns = 36;

[[gnu::noinline]] int grow_and_return(Counted* counted, int depth = kReturns) {
  volatile char room[200];
  room[0] = 1;
  counted->look();
  return depth == 0 ? 0 : grow_and_return(counted, depth - 1) + room[0];
}

void grow_and_shrink(std::uint64_t bytes, stacktide::wait_group all_big, stacktide::channel<int> shrink,
                     stacktide::channel<int> measured) {
  Counted counted;
  const stacktide::stack_numbers start = stacktide::stack_info();
  counted.size = start.size;
  counted.lo = start.lo;
  const std::uint64_t first_size = start.size;
  // What it took to come here.
  const std::uint64_t grows_before = start.grows;
  for (int round = 0; round < 2; ++round) {
    int first = 4711;
    Link top{nullptr, 0, "top"};
    std::string trail;
    const int frames = descend(bytes, &top, counted, &first, trail);
    RT_CHECK(counted.largest == bytes && counted.size == bytes && trail.size() == static_cast<std::size_t>(frames) / 256);
    RT_CHECK(top.text == "top" && first == 4711);
    if (round == 0) all_big.done();
    // Parked, this stack is halved by others until it is small.
    RT_CHECK(shrink.recv().has_value());
    counted.look();
    RT_CHECK(counted.size <= 2 * first_size);
    // Its own stack, too, may be halved while it runs.
    RT_CHECK(grow_and_return(&counted) == kReturns);
    while (stacktide::shrink_stacks() != 0) counted.look();
    counted.look();
    RT_CHECK(counted.size <= 2 * first_size);
  }
  const stacktide::stack_numbers end = stacktide::stack_info();
  // The runtime counts a growth that skips sizes as one; this program's calls are small, so none does.
  RT_CHECK(end.grows - grows_before == counted.grows && end.shrinks == counted.shrinks);
  RT_CHECK(end.bytes_copied > 0 && end.high_water + 4096 > bytes / 2 && end.high_water <= bytes && end.hot_splits == 0);
  RT_CHECK(counted.moves >= (counted.grows > 0 ? 1U : 0U));
  measured.send(1);
}

}  // namespace

int main(int argc, char** argv) {
  const int n = argc > 1 ? std::atoi(argv[1]) : 200;
  const std::uint64_t bytes = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1 << 20;
  stacktide::run([n, bytes] {
    stacktide::wait_group all_big;
    all_big.add(n);
    auto shrink = stacktide::channel<int>::make();
    auto measured = stacktide::channel<int>::make(16);
    for (int i = 0; i < n; ++i) stacktide::go(grow_and_shrink, bytes, all_big, shrink, measured);
    all_big.wait();
    for (int round = 0; round < 2; ++round) {
      while (shrink.waiting() < static_cast<std::size_t>(n)) stacktide::yield();
      // All are parked with a stack of which they use little: one call halves each once. (The monitor does the same, in its
      // own time.)
      while (stacktide::shrink_stacks() != 0) {
      }
      for (int i = 0; i < n; ++i) shrink.send(i);
    }
    for (int i = 0; i < n; ++i) RT_CHECK(measured.recv().has_value());
  });
  std::printf("%d goroutines, %lu bytes: right\n", n, bytes);
}
