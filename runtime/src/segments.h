// Segments: a stack that cannot be copied goes on elsewhere, for one call.
//
// Concept. As in Go before 1.3: the function that found too little room runs on a new segment, and its return leads back to
// the old one. A goroutine keeps the last segment that it released, so a boundary crossed in a loop costs a switch and not
// an allocation.
//
// Invariant. g's own extents and sp are those of the newest segment; `segments` lists the older ones, newest first. A
// segment's record is written only while g's sequence is odd, or while no reader can reach it.
#pragma once

#include <cstdint>

#include "goroutine.h"

namespace stacktide::runtime {

// What the failed check asked for.
struct Demand {
  std::uint64_t sp;     // rsp at the function's entry, where its return address is
  std::uint64_t frame;  // bytes below sp that the check covers
  std::uint64_t args;   // bytes of stack arguments
  std::uint64_t pc;     // in the function
  std::uint64_t caller;
};

// Continues on a new segment. Returns the stack pointer for the function's body: where its stack arguments are.
std::uint64_t link_segment(Goroutine& g, const Demand& demand);
// Back to the older segment; the caller rearms the guard. The one left becomes the spare; while an exception is in flight
// its frames may still be read, so nothing is freed here.
void unlink_segment(Goroutine& g);

// The current segment from now on. The caller keeps g's sequence odd.
void set_extents(Goroutine& g, std::uint64_t lo, std::uint64_t hi);
// Bytes of stack over all segments.
std::uint64_t total_size(const Goroutine& g);

}  // namespace stacktide::runtime
