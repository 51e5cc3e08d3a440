// Stacks: where they come from and what their bytes are for.
//
// Concept. All goroutine stacks lie in one reserved range, the arena (arena.h), so that one compare tells whether a thread
// is on a goroutine's stack, before thread-local storage exists even. Sizes are powers of two from 2048. The arena lies
// where no text, small integer or double looks like an address in it, and below all thread stacks, so that code compiled
// with checks passes them on a thread's stack whatever guard is set. A stack that replaces another ends at an address with
// the same low 16 bits (its colour), so a move changes addresses by a multiple of 64 KiB: it keeps every alignment, and the
// low two bytes of whatever it takes for a pointer. A char, a short, the text of a one-letter string or the exponent of a
// long double beside six bytes that an older pointer left looks like a pointer, and is not changed.
//
// Each P keeps free stacks of the small sizes, by colour, for the thread that has it: no lock, no system call. They come
// from the spans and go there in batches (spans.h). What a freed stack becomes is an option: reused at once, poisoned
// (filled with 0xee, and looked at when it is used again), or unmapped (inaccessible for a long time, so that a stale
// pointer faults).
//
//   hi  +-----------------+  first frame
//       |      used       |
//   sp  +-----------------+
//       |    headroom     |
//       +-----------------+  guard = lo + kStackGuard: a check fails below it
//       |   kStackSmall   |  frames below kStackSmall bytes compare rsp itself, so they may reach this far
//       +-----------------+
//       |  kCheckBudget   |  what the slow path and the way to the system stack need, and the red zone of a leaf
//   lo  +-----------------+  canary: the last detector
#pragma once

#include <cstddef>
#include <cstdint>

#include "stacktide/abi.h"

namespace stacktide::runtime {

#define STACKTIDE_CONSTANT(name, value) inline constexpr std::int64_t k_##name = value;
STACKTIDE_CONSTANTS(STACKTIDE_CONSTANT)
#undef STACKTIDE_CONSTANT

inline constexpr std::uint64_t kStackMin = k_stack_min;
inline constexpr std::uint64_t kStackGuard = k_stack_guard;
inline constexpr std::uint64_t kStackSmall = k_stack_small;
inline constexpr std::uint64_t kStackBig = k_stack_big;
inline constexpr std::uint64_t kCanary = static_cast<std::uint64_t>(k_canary);

// Below a small frame that passed its check: a call's return address (8), then the deepest of: __morestack (its caller's
// return address and 15 registers: 128), a runtime call (return address of a tail and 56), a library call (24); a leaf's red
// zone (128); the canary (8). Three levels of unchecked assembly never nest, so twice the largest is more than enough. Or,
// in code that is optimised for size: arguments that it pushes and its check does not count (256 at most, or stacktide-link
// refuses it), and then a return address and __morestack.
inline constexpr std::uint64_t kCheckBudget = 8 + 2 * 128 + 128 + 8;
static_assert(kCheckBudget >= 256 + 8 + 128 + 8);
static_assert(kStackGuard >= kStackSmall + kCheckBudget, "StackGuard must hold a small frame and the slow path below it");
// A fresh stack must have room above its guard for the first function.
static_assert(kStackMin >= kStackGuard + 512);

// What becomes of a freed stack.
enum Freed : std::uint8_t { freed_reuse, freed_poison, freed_unmap };
// Before the first stack is allocated.
void set_freed_stacks(Freed freed);
Freed freed_stacks();

// Reserves the arena. Called once, before the first goroutine. Ends the program when the address space is not to be had.
void reserve_arena();
// A stack of `size` bytes (a power of two from kStackMin), canary in place; its lowest address. It ends at an address that
// is like_hi modulo 64 KiB; 0: anywhere. Ends the program when memory is out.
std::uint64_t allocate_stack(std::uint64_t size, std::uint64_t like_hi = 0);
// Gives a stack back. A broken canary ends the program, naming the goroutine.
void free_stack(std::uint64_t lo, std::uint64_t size, std::uint64_t goroutine);
[[noreturn]] void fatal_canary(std::uint64_t lo, std::uint64_t goroutine);
// Ends the program when the canary at lo is broken.
inline void check_canary(std::uint64_t lo, std::uint64_t goroutine) {
  if (*reinterpret_cast<const std::uint64_t*>(lo) != kCanary) [[unlikely]]
    fatal_canary(lo, goroutine);
}

// Free stacks of one P, in lists by size and colour; cells, linked as arena.h says. Only the thread that has the P uses it.
struct StackCache {
  static constexpr unsigned kSizes = 5;  // 2 KiB to 32 KiB
  std::uint32_t lists[kSizes][32];
  std::uint32_t available[kSizes];  // bit n: colour n has some
  std::uint32_t count[kSizes];
};

// What an address is to the stacks.
struct StackPlace {
  enum Kind : std::uint8_t {
    outside,   // not in the arena
    unused,    // in the arena, but in no stack now
    in_use,    // in a stack that a goroutine has
    freed,     // in a stack that nobody has
    unmapped,  // in one that was made inaccessible when it was freed
  };
  Kind kind;
  std::uint64_t lo;  // extents of the stack; 0 when outside or unused
  std::uint64_t hi;
  std::uint64_t freed_by;  // id of the goroutine that last gave a stack here back, 0: none did
};
// Takes no lock and touches no stack, for signal handlers: what it says of a stack that changes hands just now may be stale.
StackPlace describe_stack_address(std::uint64_t address);

}  // namespace stacktide::runtime

// Read by assembly: the arena's range. Zero until it is reserved, so that no stack pointer lies in it.
extern "C" std::uint64_t stacktide_arena_lo;
extern "C" std::uint64_t stacktide_arena_size;
