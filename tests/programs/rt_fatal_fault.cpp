// Ends in a fault, or in what looks like one, named on the command line. What e2e/runtime_fault_test.cpp expects in the
// report, and cannot know, is printed before.
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <thread>

#include "rt_support.h"

namespace {

using stacktide::channel;

// No constant to the compiler.
std::uint64_t value_of(std::uint64_t value) {
  asm volatile("" : "+r"(value));
  return value;
}
int* pointer_to(std::uint64_t address) { return reinterpret_cast<int*>(value_of(address)); }

// The caller of what came before stays in the traceback: that was no tail call.
void stay() { asm volatile(""); }

[[gnu::noinline]] void store(int* to) { *to = 1; }

void nil() {
  store(pointer_to(8));
  stay();
}
void unmapped() {
  store(pointer_to(0x1234567000));
  stay();
}
void not_canonical() {
  store(pointer_to(0xeeeeeeeeeeeeeeee));
  stay();
}
void divide() { asm volatile("" : : "r"(1234 / static_cast<int>(value_of(0)))); }
void illegal() { asm volatile("ud2"); }
void trap() { asm volatile("int3"); }
void call_nil() {
  reinterpret_cast<void (*)()>(value_of(0))();
  stay();
}
void call_data() {
  static const int data = 0;
  reinterpret_cast<void (*)()>(value_of(reinterpret_cast<std::uint64_t>(&data)))();
  stay();
}
void library() {
  std::memset(pointer_to(16), 1, 100000);
  stay();
}
void sent() {
  raise(SIGSEGV);
  stay();
}
void aborts() { std::abort(); }
void foreign() {
  std::thread([] { nil(); }).join();
}

// What the test compares the registers of a core with.
void marked() { asm volatile("movq $0x1122334455667788, %%r13\n\tmovl $1, 8" : : : "r13"); }

void other_goroutine() {
  channel<int> never;
  stacktide::go([] { nil(); });
  never.recv();
}

// The name of a function with 960 letters: to demangle it takes as many bytes of stack as a signal stack usually has.
#define JOIN(a, b) JOIN_EXPANDED(a, b)
#define JOIN_EXPANDED(a, b) a##b
#define LETTERS_60 abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij
#define LETTERS_120 JOIN(LETTERS_60, LETTERS_60)
#define LETTERS_240 JOIN(LETTERS_120, LETTERS_120)
#define LETTERS_480 JOIN(LETTERS_240, LETTERS_240)
}  // namespace
namespace names {
[[gnu::noinline]] void JOIN(LETTERS_480, LETTERS_480)(int* to) { *to = 2; }
}  // namespace names
namespace {
void long_name() {
  names::JOIN(LETTERS_480, LETTERS_480)(pointer_to(24));
  stay();
}

// A callback from qsort that never returns.
int deep_compare(const void* a, const void* b) {
  volatile char room[256];
  room[0] = 1;
  return room[0] == 0 ? 0 : deep_compare(b, a) + room[0];
}
void system_stack() {
  int values[] = {2, 1};
  std::qsort(values, 2, sizeof values[0], deep_compare);
  stay();
}

void canary() {
  *pointer_to(stacktide::stack_info().lo) = 0;
  stacktide::yield();
}

// Four threads find an error at the same time.
void together() {
  static std::atomic<int> arrived = 0;
  for (int i = 0; i < 4; ++i) {
    stacktide::go([] {
      ++arrived;
      while (arrived != 4) asm volatile("pause");
      nil();
    });
  }
  channel<int>().recv();
}

// Goes on where no check would let it: below the first stack there is nothing.
void overrun() {
  const std::uint64_t far = value_of(0x80000);
  asm volatile("subq %0, %%rsp\n\tpushq $0\n\tleaq 8(%%rsp, %0), %%rsp" : : "r"(far) : "memory");
}

// A goroutine that waits, and whose frames are gone.
void corrupted() {
  channel<int> never = channel<int>::make();
  std::uint64_t lo = 0;
  std::uint64_t hi = 0;
  stacktide::go([never, &lo, &hi]() mutable {
    lo = stacktide::stack_info().lo;
    hi = stacktide::stack_info().hi;
    never.recv();
  });
  stacktide::yield();
  std::memset(pointer_to(lo + 8), 0x5a, hi - lo - 8);
  nil();
}

[[noreturn]] void own_handler(int) { std::_Exit(42); }
void handler_before() { nil(); }
void handler_later() {
  signal(SIGSEGV, own_handler);
  nil();
}

constexpr rt::Test kTests[] = {{"nil", nil},
                               {"unmapped", unmapped},
                               {"not_canonical", not_canonical},
                               {"divide", divide},
                               {"illegal", illegal},
                               {"trap", trap},
                               {"call_nil", call_nil},
                               {"call_data", call_data},
                               {"library", library},
                               {"sent", sent},
                               {"aborts", aborts},
                               {"foreign", foreign},
                               {"marked", marked},
                               {"other_goroutine", other_goroutine},
                               {"together", together},
                               {"long_name", long_name},
                               {"system_stack", system_stack},
                               {"canary", canary},
                               {"overrun", overrun},
                               {"corrupted", corrupted},
                               {"handler_before", handler_before},
                               {"handler_later", handler_later}};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  if (std::string_view(argv[1]) == "handler_before") signal(SIGSEGV, own_handler);
  for (const rt::Test& test : kTests) {
    if (std::string_view(argv[1]) == test.name) stacktide::run(test.run);
  }
}
