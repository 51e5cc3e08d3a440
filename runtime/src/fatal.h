// Fatal paths: what is said when the program cannot go on. All end in abort(), so that a core follows.
#pragma once

#include <cstdint>

namespace stacktide::runtime {

struct Goroutine;

// "fatal error: TEXT", the current goroutine's traceback, abort.
[[noreturn]] void fatal(const char* text);
// "panic: TEXT", and so on: what Go says when the program misuses something. Here it cannot be recovered from.
[[noreturn]] void panic(const char* text);
// Go's words, all goroutines, abort.
[[noreturn]] void fatal_deadlock();
// "runtime: goroutine stack exceeds N-byte limit", "fatal error: stack overflow", its traceback, abort.
[[noreturn]] void fatal_stack_limit(Goroutine& g, std::uint64_t limit);
// From now on an uncaught exception in a goroutine says so: its type, what(), the goroutine's traceback. Once, at start.
void speak_when_terminated();
// Library code called back into the program, or a signal did, which then tried to park.
[[noreturn]] void fatal_not_parkable(const char* what);

}  // namespace stacktide::runtime
