// Whose stack an address lay in: for faults through pointers into stacks that have moved away.
//
// Concept. Every move of a stack leaves an event with its old and new place (events.h). The last event whose old place holds
// an address tells whose object it was; a copy keeps the distance from a stack's end, so the new place of the object
// follows, and from there the goroutine's later moves lead to where it is now. A stack that lives is nobody's past:
// addresses in one are left alone.
//
// Takes no locks: called from a signal handler.
#pragma once

#include <cstdint>

namespace stacktide::runtime {

// Says whose the address was, by which move it was left, and where the object is now. `name`: what holds the address. False,
// and nothing is said, when it lies in a stack in use, or no event that is still recorded left it.
bool say_stack_of(const char* name, std::uint64_t address);

}  // namespace stacktide::runtime
