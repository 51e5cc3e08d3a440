// Which frames are the user's: what a list shows of a goroutine is the innermost function that its author wrote.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "stacktide/core/snapshot.h"
#include "symbols/owner.h"

namespace stacktide {

// Belongs to the goroutine runtime: code of no module, or its linkage name (without one, its readable name) begins with one
// of these, which the runtime exports. Frame::runtime keeps the answer.
bool is_runtime_frame(const Frame& frame, std::span<const std::string> runtime_symbols);
// Belongs to the C or C++ library or to another part of the system.
bool is_system_frame(const Frame& frame);
// The innermost frame that is neither, by Frame::runtime; when there is none the innermost that is not the runtime's and has
// a name; nullptr without one.
const Frame* innermost_user_frame(std::span<const Frame> frames);
// The outermost such frame.
const Frame* outermost_user_frame(std::span<const Frame> frames);

// "chan receive" for a waiting goroutine, "syscall (read)" for one in a library call, else its status.
std::string state_of(const Goroutine& goroutine);
// It waits for a file descriptor: what wakes it comes from outside the process.
bool waits_for_descriptor(const Goroutine& goroutine);

}  // namespace stacktide
