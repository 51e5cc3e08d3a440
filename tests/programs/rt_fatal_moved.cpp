// Faults through a pointer into a stack that has moved away. Movable code that breaks its promise on purpose: it keeps the
// address of a local where no move adjusts it. Prints "object ADDRESS", where the local is by then, and "old LO HI", the
// stack that it was in.
#include <sys/mman.h>

#include <cinttypes>
#include <cstdint>
#include <string_view>

#include "rt_support.h"

namespace {

// Outside any stack, where no move changes them.
struct {
  std::uint64_t object;
  std::uint64_t lo;
  std::uint64_t hi;
} old;

[[gnu::noinline]] void remember(volatile int* object) {
  const auto info = stacktide::stack_info();
  old = {reinterpret_cast<std::uint64_t>(object), info.lo, info.hi};
  asm volatile("" : : : "memory");
}

[[gnu::noinline]] void grow(int depth) {
  volatile char room[2000];
  room[0] = static_cast<char>(depth);
  if (depth > 0) grow(depth - 1);
  room[1] = room[0];
}

// Where to fault: at the object, the first and the last byte of the stack that was left, or one behind it.
std::string_view where;

std::uint64_t target() {
  if (where == "first") return old.lo;
  if (where == "last") return old.hi - 1;
  if (where == "behind") return old.hi;
  return old.object;
}

// Two growths from 64 KiB; under STACKTIDE_STRESS=move a move with each call.
[[gnu::noinline]] void leave_a_stack(bool end) {
  volatile int object = 0;
  remember(&object);
  grow(40);
  grow(80);
  const std::uint64_t at = target();
  const bool in_register = where == "register";
  // From here on nothing moves: library calls check no stack.
  std::printf("object 0x%" PRIx64 "\nold 0x%" PRIx64 " 0x%" PRIx64 "\n", reinterpret_cast<std::uint64_t>(&object), old.lo,
              old.hi);
  std::fflush(stdout);
  if (end) return;
  if (in_register) {
    // Follows a pointer that it finds in the poison.
    asm volatile("movq %0, %%r12\n\tmovq (%%r12), %%r13\n\tmovl $1, (%%r13)" : : "r"(at) : "r12", "r13", "memory");
  }
  mprotect(reinterpret_cast<void*>(old.lo), old.hi - old.lo + 4096, PROT_NONE);
  *reinterpret_cast<volatile char*>(at) = 1;
}

void of_a_goroutine_that_ended() {
  stacktide::wait_group done;
  done.add(1);
  stacktide::go([done]() mutable {
    leave_a_stack(true);
    done.done();
  });
  done.wait();
  const std::uint64_t at = old.object;
  mprotect(reinterpret_cast<void*>(old.lo), old.hi - old.lo, PROT_NONE);
  *reinterpret_cast<volatile char*>(at) = 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  where = argv[1];
  if (where == "ended") {
    stacktide::run(of_a_goroutine_that_ended);
  } else {
    stacktide::run([] { leave_a_stack(false); });
  }
}
