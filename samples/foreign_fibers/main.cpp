// foreign_fibers: fibers of a library that is not stacktide's, with stacks of fixed size, made inspectable by a descriptor.
//
//   foreign_fibers &
//   stacktide list --pid $!
//
// Ten readers wait for an event below 0 to 9 calls, one fiber waits for the first of them to end, one has not begun, and one
// reads the program's input. It says `ready` and ends at the end of its input.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "fiber.h"

namespace {

constexpr int kReaders = 10;
fibers::Event input_ended;
fibers::Fiber* readers[kReaders];

// Goes down `depth` calls, then waits. What comes after the call keeps the compiler from making a loop of it.
[[gnu::noinline]] int wait_below(int depth) {
  if (depth == 0) {
    fibers::wait(input_ended);
    return 0;
  }
  return wait_below(depth - 1) ^ depth;
}

void reader(void* argument) {
  int expected = 0;
  for (int depth = *static_cast<const int*>(argument); depth > 0; --depth) expected ^= depth;
  if (wait_below(*static_cast<const int*>(argument)) != expected) std::abort();
}

void joiner(void*) { fibers::join(readers[0], readers[0]->id); }

void late(void*) {}

// Keeps the thread, and with it all others, until the input ends.
void input(void*) {
  fibers::start("late", late, nullptr);
  std::puts("ready");
  std::fflush(stdout);
  for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
  }
  fibers::signal(input_ended);
}

}  // namespace

int main() {
  static int depths[kReaders];
  for (int i = 0; i < kReaders; ++i) {
    char name[16];
    std::snprintf(name, sizeof name, "reader %d", i);
    depths[i] = i;
    readers[i] = fibers::start(name, reader, &depths[i]);
  }
  fibers::start("joiner", joiner, nullptr);
  fibers::start("input", input, nullptr);
  if (!fibers::run()) std::abort();
  std::puts("done");
}
