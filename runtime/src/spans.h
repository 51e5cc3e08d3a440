// Spans cut in stacks, and the free stacks that no P keeps for itself.
//
// Concept. A span is cut in stacks of one size and one phase (the remainder of their colours by the size, see stack.h).
// Stacks below 64 KiB share spans of 256 KiB; a larger one has its own. Free stacks wait in lists by size and colour. A span
// all of whose stacks are free is empty. Empty spans keep their pages while they are few (16 MiB), and for a second or two
// when they are more, so that what goes up and down is not paid for at each turn; then the monitor gives them back to the
// system, the longest unused first. A goroutine that starts takes stacks of one span next to each other: spans that are
// nearly empty become so.
//
// While freed stacks are to be unmapped, each stack has a span of its own, which stays inaccessible until 4,096 others were
// freed after it: a stale pointer faults. While they are poisoned nothing goes back to the system.
//
// Rejected: lists through the free stacks themselves (a stale pointer writes into the allocator; a debugger must read them
// to walk a list); giving an empty span back at once (a program that starts and ends 100,000 goroutines again and again
// took 1.6 times as long: each page was faulted in anew).
#pragma once

#include <cstdint>

#include "arena.h"

namespace stacktide::runtime {

inline constexpr std::uint32_t kColours = kUnit / kStackMin;
static_assert(kColours == 32, "sets of colours are 32 bits");
inline constexpr std::uint32_t kAnyColour = kColours;
inline constexpr unsigned kSizeClasses = 31;  // of 2^n bytes; the last: 1 GiB

// Takes at least one and at most n free stacks of this size, as cells. Ends the program when memory is out.
unsigned take_stacks(unsigned size_class, std::uint32_t colour, std::uint32_t* cells, unsigned n);
// Gives them back.
void give_stacks(unsigned size_class, const std::uint32_t* cells, unsigned n);

// Gives empty spans back to the system: those beyond 16 MiB, `at_once` or when they were empty at the last look already.
// True: there may be more to give at the next look.
bool return_empty_spans(bool at_once);

}  // namespace stacktide::runtime
