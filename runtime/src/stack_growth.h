// Growing, moving and shrinking stacks.
//
// Concept. A failed check ends in newstack, on the system stack. It copies the current segment to one at least twice as big
// when every frame of it may move, else it links a new segment for the callee alone, as Go did before 1.3. A parked
// goroutine that uses less than a quarter of its segment is halved.
//
// A copy moves the used part to the same distance from the new hi, and adds the distance to every aligned word, in all
// segments of the goroutine and in its saved context, whose value lies in [old lo, old hi] and which is no scalar for
// certain (stack_map.h). That finds every pointer as long as derived pointers stay inside their objects (goroutine code is
// built with -fno-ivopts) and nothing outside the stack points into it (what MOVABLE promises). What only looks like such a
// pointer keeps its low two bytes, see stack.h.
//
// A frame is pinned when its record says so: its function is not MOVABLE, or holds what the heap may point back at. Where
// records end, any word that is a return address into section stacktide_pinned, where stacktide-link puts all goroutine code
// that is not MOVABLE, or one with a pinned record, is taken for a pinned frame's. That may pin too much (a stale word),
// never too little. While an exception is in flight nothing is copied: the unwinder keeps stack addresses in the heap.
#pragma once

#include <cstdint>

#include "goroutine.h"

namespace stacktide::runtime {

// Gives a new goroutine its first stack, ready to be resumed: it will call function(closure). bytes: so many of the closure,
// a multiple of 16, are copied to the end of that stack, and it will get their address there; 0: none.
void first_stack(Goroutine& g, void (*function)(void*), void* closure, std::uint64_t bytes);
// Frees the stack of a goroutine that ended, all segments.
void free_stacks(Goroutine& g);
// Bytes used over all segments when the current one is used down to sp.
inline std::uint64_t used_bytes(const Goroutine& g, std::uint64_t sp) {
  std::uint64_t used = g.stack_hi - sp;
  for (const Segment* segment = g.segments; segment != nullptr; segment = segment->previous)
    used += segment->hi - segment->sp;
  return used;
}
// That is, if it is more than ever before.
inline void note_high_water(Goroutine& g, std::uint64_t sp) {
  const std::uint64_t used = used_bytes(g, sp);
  if (used > g.high_water) g.high_water = used;
}
// Halves the stack once if it is waiting (or `self`, the caller's own in a runtime call) and uses less than a quarter. True
// if it did.
bool shrink_if_idle(Goroutine& g, bool self);
// Finds the range of pinned code. Once, at start.
void find_code_ranges();
// Must the frame with this return address stay where it is?
bool is_pinned_frame(std::uint64_t pc);
// Is there goroutine code that is not MOVABLE?
bool has_pinned_code();

}  // namespace stacktide::runtime
