// frames: one function of each class of stack check, and add(), the one that people ask about first: how much stack does a
// function with a 200-byte buffer want, and when does its goroutine's stack grow?
//
// `stacktide prologue add --pid N` shows the check that the compiler put before it. With --wait it says `ready` and waits
// for the end of its input.
#include <stacktide/channel.h>
#include <stacktide/runtime.h>

#include <unistd.h>

#include <cstdio>
#include <string_view>

namespace {

// Writes every byte of the buffer, so that it is there. Inlined into its callers.
inline int fill(char* buffer, int size, int value) {
  int sum = 0;
  for (int i = 0; i < size; ++i) {
    static_cast<volatile char*>(buffer)[i] = static_cast<char>(value);
    sum += buffer[i];
  }
  return sum;
}

// Under StackSmall (256): rsp itself is compared with the guard.
[[gnu::noinline]] int add(int a, int b) {
  char buffer[200];
  return fill(buffer, sizeof buffer, 0) + a + b;
}

// A frame of a few bytes is checked in the same way.
[[gnu::noinline]] int small_frame(int n) { return add(n, 1) + 1; }

// From StackSmall on: rsp less the frame is compared.
[[gnu::noinline]] int big_frame(int n) {
  char buffer[1000];
  const int sum = add(n, 2);
  return fill(buffer, sizeof buffer, 0) + sum;
}

// From StackBig (4096) on: the frame's own size decides how large the new stack is, in one step.
[[gnu::noinline]] int huge_frame(int n) {
  char buffer[10'000];
  const int sum = add(n, 3);
  return fill(buffer, sizeof buffer, 0) + sum;
}

template <class Function>
void show(const char* name, Function function) {
  const auto before = stacktide::stack_info();
  const int result = function();
  const auto after = stacktide::stack_info();
  std::printf("%-11s = %2d, stack %lu -> %lu bytes\n", name, result, before.size, after.size);
}

}  // namespace

int main(int argc, char** argv) {
  const bool wait = argc == 2 && std::string_view(argv[1]) == "--wait";
  if (argc > (wait ? 2 : 1)) {
    std::fprintf(stderr, "frames: wants nothing, or --wait\n");
    return 2;
  }
  stacktide::run([wait] {
    show("add", [] { return add(40, 2); });
    show("small_frame", [] { return small_frame(40); });
    show("big_frame", [] { return big_frame(40); });
    show("huge_frame", [] { return huge_frame(39); });
    std::fflush(stdout);
    if (wait) {
      stacktide::blocking([] {
        std::puts("ready");
        std::fflush(stdout);
        for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
        }
      });
    }
  });
}
