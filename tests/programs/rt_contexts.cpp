// Goroutines in every state that has a stack, each with locals of its own, for debuggers that select them.
//
// 1 is main's, in blocking(); 2 is parked; 3 runs, and makes no calls; 4 is in a library call, read() on a pipe that never answers. Prints
// `ready` when all are there, and ends with its input. Run it with STACKTIDE_MAXPROCS=2 or more. Not in an unnamed namespace: LLDB 19 loses such
// names at -O2.
#include <unistd.h>

#include <atomic>

#include "rt_support.h"

using Channel = stacktide::channel<int>;

std::atomic<bool> running = false;
bool done = false;

struct Pair {
  int first;
  int second;
};

[[gnu::noinline]] int parked(Channel channel) {
  volatile Pair kept = {20, 2};
  const int got = channel.recv().value_or(kept.first);
  return got + kept.second;
}

[[gnu::noinline]] int spinning() {
  volatile Pair kept = {30, 3};
  running = true;
  while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) kept.second = 3;  // no frame of a function inlined here
  return kept.first;
}

[[gnu::noinline]] int reading(int pipe) {
  volatile Pair kept = {40, 4};
  char byte = 0;
  const long got = read(pipe, &byte, 1);
  return static_cast<int>(got) + kept.first;
}

[[gnu::noinline]] void wait_for_end() {
  for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
  }
}

[[gnu::noinline]] int blocked() {
  volatile Pair kept = {10, 1};
  stacktide::blocking([] { wait_for_end(); });
  return kept.first + kept.second;
}

// Below each of them one call more, so that there is somewhere to go up to.
template <class F, class... Arguments>
[[gnu::noinline]] int outer(F f, Arguments... arguments) {
  volatile int above = 7;
  return f(arguments...) + above;
}

int main() {
  int ends[2];
  if (pipe(ends) != 0) return 2;
  stacktide::run([pipe = ends[0]] {
    auto channel = Channel::make();
    stacktide::go([channel] { outer(parked, channel); });
    while (channel.waiting() == 0) stacktide::yield();
    stacktide::go([] { outer(spinning); });
    while (!running) stacktide::yield();
    stacktide::go([pipe] { outer(reading, pipe); });
    stacktide::yield();
    std::puts("ready");
    std::fflush(stdout);
    outer(blocked);
    __atomic_store_n(&done, true, __ATOMIC_RELAXED);
  });
  std::_Exit(0);
}
