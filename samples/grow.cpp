// grow [DEPTH [ROUNDS]]: a goroutine recurses DEPTH calls (default 1000), returns, and gives the room back; ROUNDS times (default 1).
//
// It counts by itself what happened to its stack: at each call it looks whether the stack's size has changed. The tools' history and trace must
// show exactly as many growths and shrinks.
#include <stacktide/channel.h>
#include <stacktide/runtime.h>

#include <cstdio>
#include <cstdlib>

namespace {

struct Seen {
  std::uint64_t size = 0;     // of the stack when last looked at
  std::uint64_t grows = 0;
  std::uint64_t shrinks = 0;
  std::uint64_t largest = 0;

  void look() {
    const std::uint64_t now = stacktide::stack_info().size;
    if (now > size) ++grows;
    if (now < size) ++shrinks;
    if (now > largest) largest = now;
    size = now;
  }
};

// About 100 bytes of stack per call. `first` points to a local of the first call: a move must find and change that pointer.
[[gnu::noinline]] long recurse(int depth, Seen& seen, long* first) {
  volatile long local = depth;
  seen.look();
  if (depth == 0) return *first;
  return recurse(depth - 1, seen, first) + local - depth;
}

}  // namespace

int main(int argc, char** argv) {
  const int depth = argc > 1 ? std::atoi(argv[1]) : 1000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 1;
  if (depth < 0 || rounds < 1) {
    std::fprintf(stderr, "grow: wants a depth from 0 and rounds from 1 on, as in: grow 1000 3\n");
    return 2;
  }
  int status = 0;
  stacktide::run([=, &status] {
    Seen seen;
    seen.size = stacktide::stack_info().size;
    std::printf("start: %lu bytes\n", seen.size);
    for (int round = 0; round < rounds; ++round) {
      long first = 42;
      if (recurse(depth, seen, &first) != 42) status = 1;
      std::printf("recursed %d deep: %lu bytes\n", depth, seen.size);
      // Each call halves the stack at most once, as one collection does in Go.
      while (stacktide::shrink_stacks() != 0) seen.look();
      std::printf("returned: %lu bytes\n", seen.size);
    }
    const stacktide::stack_numbers stack = stacktide::stack_info();
    std::printf("%lu grows, %lu shrinks, largest %lu bytes\n", seen.grows, seen.shrinks, seen.largest);
    // What the runtime counted, for comparison. It also counts a growth that printf's caller needed.
    if (stack.shrinks != seen.shrinks || stack.grows + stack.links < seen.grows) status = 1;
    std::printf("the runtime counted %lu grows, %lu links, %lu shrinks\n", stack.grows, stack.links, stack.shrinks);
    std::fflush(stdout);
    if (std::getenv("GROW_ABORT") != nullptr) std::abort();
  });
  return status;
}
