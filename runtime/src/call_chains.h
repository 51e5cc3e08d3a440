// Chains of calls, each with a number: what a recording says of where something happened.
//
// Concept. The frames of a goroutine whose context is saved are walked by their stack maps, a few nanoseconds each, at most
// STACKTIDE_TRACE_DEPTH of them. A table of hashes says whether the chain has a number already; a new one gets the next, and
// a record of its own in the lane of whoever met it first, before the record that refers to it.
//
// Invariants. A number once found in the table has its record in the file. A chain may have several numbers, when threads
// meet it at the same time or the table is full: readers go by the addresses.
//
// Rejected: unwinding by .eh_frame (a microsecond a frame); a number per (pc, caller), which says too little of recursion
// and of helpers that everybody calls.
#pragma once

#include <cstdint>

#include "goroutine.h"
#include "trace_file.h"

namespace stacktide::runtime {

// The table; once, before the first chain.
void prepare_call_chains();
// The number of the chain that g's saved context begins; where its frames have no maps, of (pc, caller) alone. 0: lost.
std::uint32_t call_chain(Lane& lane, const Goroutine& g, std::uint64_t pc, std::uint64_t caller);
// Of a single place.
std::uint32_t call_chain(Lane& lane, std::uint64_t pc);

}  // namespace stacktide::runtime
