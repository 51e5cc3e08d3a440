// The arena: the reserved range of addresses that all goroutine stacks lie in, and who has which part of it.
//
// Concept. The range is reserved once, inaccessible, and made accessible in steps. It is dealt in units of 64 KiB; a run of
// units that somebody has, or nobody, is a span. The table of spans has one record per unit: the record of a span's first
// unit describes it, those of its other units lead there, so that any address finds its span at once. Free neighbours are
// always joined; the ends of a free span lead to its first unit. Free spans are left out of core dumps. That splits the
// kernel's mappings, of which a process may have only so many (vm.max_map_count), so there is a limit of free spans that are
// left out; those beyond it would be dumped, as the nothing that they are.
//
// Beside the arena lies one cell for each place where a stack may begin: it links free stacks, so a free stack's own bytes
// are neither read nor written, whatever a stale pointer does to them. Both tables are reserved and made accessible as the
// arena is.
//
// Locks. `arena_lock` (a leaf) guards all of this but what is said to be readable without.
#pragma once

#include <cstdint>
#include <mutex>

#include "stack.h"

namespace stacktide::runtime {

inline constexpr std::uint64_t kUnit = 65536;  // bytes; moves of stacks are multiples of it, see stack.h

// Exported as it is (abi.h, type span).
struct alignas(64) Span {
  std::uint64_t lo;          // 0: never used. With size 0: the span that this unit is a part of
  std::uint64_t size;        // bytes, whole units
  std::uint32_t stack_size;  // bytes of each stack in it
  std::uint32_t first;       // bytes from lo to the first stack
  std::uint32_t stacks;      // how many
  std::uint32_t free;        // how many of them nobody has: no goroutine, no P
  std::uint8_t state;        // span_state_*
  // Private from here on.
  bool undumped;       // a free span that is left out of dumps
  std::uint32_t next;  // in the list of free spans of its size, of empty ones or of unmapped ones; 0: none, else unit + 1
  std::uint32_t previous;
  std::uint32_t since;  // look at which it was seen to be empty, see spans.h
};
static_assert(sizeof(Span) == 64);

// A place where a stack may begin. Numbered from 1; 0 is none. Exported as it is (abi.h, type stack_cell).
struct StackCell {
  std::uint64_t freed_by;  // id of the goroutine that last gave a stack here back
  std::uint32_t next;      // of a free stack: the next one in its list; of another: kInUse
  std::uint32_t previous;  // in the common free lists; elsewhere kOut
};
static_assert(sizeof(StackCell) == 16);

inline constexpr std::uint32_t kInUse = static_cast<std::uint32_t>(k_stack_in_use);
inline constexpr std::uint32_t kOut = 0xffffffff;

extern std::mutex arena_lock;
extern Span* span_table;
extern StackCell* stack_cells;  // stack_cells[0] is not used

inline std::uint32_t cell_of(std::uint64_t lo) {
  return static_cast<std::uint32_t>((lo - stacktide_arena_lo) / kStackMin + 1);
}
inline std::uint64_t cell_address(std::uint32_t cell) { return stacktide_arena_lo + (cell - 1) * kStackMin; }
// The span that this address in the accessible part of the arena lies in; without the lock: an address of a stack that the
// caller has.
Span& span_of(std::uint64_t address);
// As above for any address and without the lock, for signal handlers: nullptr when it lies in none, or in one that changes
// just now.
const Span* find_span(std::uint64_t address);

// Lists of spans, linked by unit number + 1.
struct SpanList {
  std::uint32_t head = 0;
  std::uint32_t tail = 0;
};
void append(SpanList& list, Span& span);
void remove(SpanList& list, Span& span);
// nullptr when it is empty.
Span* front(const SpanList& list);

// A span of `size` bytes (rounded up to whole units) for stacks, accessible and dumped. Under arena_lock. Ends the program
// when there is no more.
Span& take_span(std::uint64_t size);
// Makes it free. Its pages are with the system again already, and accessible. Under arena_lock.
void give_span(Span& span);

}  // namespace stacktide::runtime
