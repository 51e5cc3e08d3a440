// How far below the guard anything writes: what StackGuard must hold (kCheckBudget in stack.h), measured.
//
// A function with the largest small frame, called with rsp on the guard, makes a call: of a function that needs room, of the library, of the runtime. What lies
// below it is filled with a pattern first; the lowest byte that changed says how deep the call went.
#include <unistd.h>

#include <cstdio>

#include "rt_frames_exact.h"

namespace {

constexpr unsigned char kPattern = 0xa7;
// Not in any call that is measured, but what a leaf function may use below it, and the canary.
constexpr std::uint64_t kRedZone = 128;
constexpr std::uint64_t kCanaryBytes = 8;

volatile int called = 0;

[[gnu::noinline]] void needs_room() {
  volatile char room[64];
  room[0] = 1;
  called = called + room[0];
}

struct Call {
  const char* name;
  void (*make)(std::uint64_t entry);
  std::uint64_t least;  // bytes that it is known to write, so that a pattern which nobody looks at is noticed
};

// A direct call, as GCC makes it, with rsp at `entry` at the callee's first instruction.
#define DIRECT_CALL(symbol)                                                                                               \
  [](std::uint64_t entry) {                                                                                               \
    register std::uint64_t top asm("r13") = entry + 8;                                                                    \
    asm volatile("movq %%rsp, %%rbx\n\t movq %%r13, %%rsp\n\t xorl %%eax, %%eax\n\t call " symbol "\n\t movq %%rbx, %%rsp" \
                 : "+r"(top)                                                                                              \
                 :                                                                                                        \
                 : "rbx", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");                   \
  }

// Mentioned, so that stacktide-link makes its thunk.
[[gnu::used]] int mention() { return static_cast<int>(getppid()); }

const Call kCalls[] = {
    {"a function that needs room", [](std::uint64_t entry) { rt::call_at(entry, reinterpret_cast<const void*>(&needs_room)); }, 100},
    {"the library", DIRECT_CALL("getppid"), 16},
    {"the library through a pointer", [](std::uint64_t entry) { rt::call_at(entry, reinterpret_cast<const void*>(&getppid)); }, 16},
    {"the runtime", DIRECT_CALL("stacktide_current_id"), 56},
    {"the runtime, and parks", DIRECT_CALL("stacktide_yield"), 56},
};

void measure(const Call& call) {
  const stacktide::stack_numbers stack = stacktide::stack_info();
  const std::uint64_t guard = stack.lo + rt::kStackGuard;
  // The lowest rsp that a function may have which passed its check as a small one.
  const std::uint64_t lowest_frame = guard - (rt::kStackSmall - 8);
  auto* const bytes = reinterpret_cast<volatile unsigned char*>(stack.lo);
  const std::uint64_t zone = lowest_frame - stack.lo;
  for (std::uint64_t i = kCanaryBytes; i < zone; ++i) bytes[i] = kPattern;
  const int calls = called;
  call.make(lowest_frame - 8);
  // A segment was linked and released: this is the old one still.
  RT_CHECK(stacktide::stack_info().lo == stack.lo);
  RT_CHECK(called == calls + (call.least == 100 ? 1 : 0));
  std::uint64_t deepest = zone;
  for (std::uint64_t i = zone; i-- > kCanaryBytes;) {
    if (bytes[i] != kPattern) deepest = i;
  }
  const std::uint64_t depth = zone - deepest;
  std::printf("%-30s: %3lu bytes below a small frame on the guard, of %lu\n", call.name, depth, stacktide::runtime::kCheckBudget);
  RT_CHECK(depth >= call.least);
  RT_CHECK(depth + kRedZone + kCanaryBytes <= stacktide::runtime::kCheckBudget);
  RT_CHECK(deepest > kCanaryBytes);
  // Looks at the canary.
  stacktide::yield();
}

}  // namespace

int main() {
  // Nothing is copied: what a call wrote below the guard stays to be seen.
  setenv("STACKTIDE_POLICY", "segmented", 1);
  setenv("STACKTIDE_STRESS", "", 1);
  stacktide::run([] {
    for (const Call& call : kCalls) {
      stacktide::wait_group finished;
      finished.add(1);
      stacktide::go([&call, finished]() mutable {
        measure(call);
        finished.done();
      });
      finished.wait();
    }
  });
}
