// One stack event in words, as `goroutine trace` prints it.
#pragma once

#include <string>

#include "stacktide/core/snapshot.h"

namespace stacktide {

// "goroutine 7 grew 2048 -> 4096 bytes, used 1312, in recurse (grow.cpp:21), called from main (grow.cpp:40)". `caller`: the
// frame that called the function that needed room; nullptr leaves that part out, as an event without a function does.
std::string describe_stack_event(const StackEvent& event, const Frame* caller);
// Its parts, for who has thousands of them: "goroutine 7 grew 2048 -> 4096 bytes, used 1312", appended; and ", in recurse
// (grow.cpp:21), called from main (grow.cpp:40)", of `event`'s function, which a release does not show.
void append_stack_event(std::string& line, const StackEvent& event);
std::string stack_event_place(const StackEvent& event, const Frame* caller);
// "recurse (grow.cpp:21)"; without a line the function, without a name the address.
std::string place_of(std::string_view function, std::string_view file, std::uint32_t line, Address pc);

}  // namespace stacktide
