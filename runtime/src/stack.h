// Stacks: where they come from and what their bytes are for.
//
// Concept. All goroutine stacks lie in one reserved range, the arena, so that one compare tells whether a thread is on a goroutine's
// stack, before thread-local storage exists even. Sizes are powers of two from 2048.
// A stack that replaces another ends at an address with the same low 16 bits (its colour), so a move changes addresses by a multiple of 64 KiB: it
// keeps every alignment, and the low two bytes of whatever it takes for a pointer. A char, a short, the text of a one-letter string or the exponent of
// a long double beside six bytes that an older pointer left looks like a pointer, and is not changed. Free stacks wait in a list per size
// and colour. Stacks below 64 KiB are cut from chunks, one chunk for each size and each remainder of the colour by the size, so little is lost.
// The arena lies where no text, small integer or double looks like an address in it, and below all thread stacks, so that code compiled with checks
// passes them on a thread's stack whatever guard is set.
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

// Below a small frame that passed its check: a call's return address (8), then the deepest of: __morestack (its caller's return address and 15
// registers: 128), a runtime call (return address of a tail and 56), a library call (24); a leaf's red zone (128); the canary (8).
// Three levels of unchecked assembly never nest, so twice the largest is more than enough.
inline constexpr std::uint64_t kCheckBudget = 8 + 2 * 128 + 128 + 8;
static_assert(kStackGuard >= kStackSmall + kCheckBudget, "StackGuard must hold a small frame and the slow path below it");
// A fresh stack must have room above its guard for the first function.
static_assert(kStackMin >= kStackGuard + 512);

// Reserves the arena. Called once, before the first goroutine. Ends the program when the address space is not to be had.
void reserve_arena();
// A stack of `size` bytes (a power of two from kStackMin), canary in place; its lowest address. It ends at an address that is like_hi
// modulo 64 KiB; 0: anywhere. Ends the program when memory is out.
std::uint64_t allocate_stack(std::uint64_t size, std::uint64_t like_hi = 0);
// Gives a stack back. A broken canary ends the program, naming the goroutine.
void free_stack(std::uint64_t lo, std::uint64_t size, std::uint64_t goroutine);
// Ends the program when the canary at lo is broken.
void check_canary(std::uint64_t lo, std::uint64_t goroutine);
// With poisoning, what is freed is filled with 0xee.
void poison_freed_stacks();

}  // namespace stacktide::runtime

// Read by assembly: the arena's range. Zero until it is reserved, so that no stack pointer lies in it.
extern "C" std::uint64_t stacktide_arena_lo;
extern "C" std::uint64_t stacktide_arena_size;
