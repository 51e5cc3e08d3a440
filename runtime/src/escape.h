// Addresses of a goroutine's stack in what it gives away: the closure of go(), a value sent on a channel.
//
// Concept. When the stack moves, such an address stays behind and points at freed memory. The headers build what is given
// away in zeroed memory and find the words that lie in the arena (detail/escape.h); here each is judged, on the system
// stack:
//  - It must point into the part of a stack that is in use. What lies below the stack pointer is a word that somebody left
//  behind.
//  - The frame that it points into must be one that may move: it and all frames above it on its segment are movable code. A
//  pinned one keeps its
//    segment where it is for as long as the frame lives, so there the address is as good as in plain C++. Nothing moves
//    under the policy segmented, everything under contiguous. Another goroutine's frames cannot be walked while it runs: an
//    address there counts only where all goroutine code is MOVABLE.
//  - It must not stand in a number (detail/escape.h).
// What remains is reported once for each place of the program, and with STACKTIDE_STRICT=on it ends the program.
//
// A word that nobody wrote can still be copied with its struct (char text[64] in which "hi" stands) and look like an
// address. The report says where in the object the word stands and what type that is; the name of the variable would take
// DWARF, which the runtime does not read.
//
// Rejected: to report addresses in pinned frames, too (go([&]{ ... }); wait(); is right there); a check of heap blocks that
// the object points to (it ends at depth one, and costs a read that may fault).
#pragma once

namespace stacktide::runtime {

// strict: a report ends the program. Once, at start.
void prepare_escape_check(bool strict);

}  // namespace stacktide::runtime
