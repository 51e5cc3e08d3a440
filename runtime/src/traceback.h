// What goroutines are doing, as Go prints it: a header, two lines for each frame, and who created it.
//
//   goroutine 7 [chan receive, 5 minutes]:
//   stacktide::channel<int>::recv()
//           include/stacktide/channel.h:70
//   worker(stacktide::channel<int>)
//           program.cpp:12
//   created by main::{lambda()#1}::operator()() const in goroutine 1
//           program.cpp:20
//
// Concept. libgcc's unwinder walks the frames, from inside the thread; libbacktrace finds function, file and line, inlined
// functions too. A parked goroutine is walked through stacktide_with_context (switch.S), which gives the unwinder its
// saved context as the caller's.
//
// All of it may run in a signal handler, on the signal stack, whatever the interrupted code was doing: the unwinder finds
// its tables by _dl_find_object, which takes no lock; libbacktrace maps its memory and goes on without its own lock when
// that is taken; names are demangled in a buffer on the stack, by a part of libstdc++ that allocates nothing. Not safe: when
// libbacktrace reads debug information for the first time it asks the dynamic loader for the list of libraries, under a
// lock. That lock is recursive, and another thread gives it back; the clock of report.h bounds the rest.
//
// Frames of the runtime are left out unless STACKTIDE_TRACEBACK=system, or the error is in the runtime itself.
#pragma once

#include <cstdint>

#include "goroutine.h"

namespace stacktide::runtime {

// STACKTIDE_TRACEBACK, the words of Go's GOTRACEBACK: how much an error shows.
enum class TracebackLevel : std::uint8_t { none, single, all, system };

// Once, at start.
void prepare_tracebacks(TracebackLevel level);
TracebackLevel traceback_level();

// Where a traceback of the calling thread begins.
struct TracebackStart {
  std::uint64_t pc = 0;       // leave out the frames before the one at pc; 0: none
  bool show_runtime = false;  // the runtime's own frames too
};

// The header of a goroutine: id, status or wait reason, whole minutes since it waits.
void say_header(const Goroutine& g);
// Header, frames and creator of the goroutine that runs on the calling thread; nothing when there is none.
void trace_current(const TracebackStart& start = {});
// The calling thread's frames alone.
void trace_frames(const TracebackStart& start);
// "runtime stack:", or "thread TID:" where it is no M, and the frames of the calling thread, which runs no goroutine now.
void trace_thread(const TracebackStart& start);
// Each goroutine but `except`, at most `limit`. Nothing is resumed meanwhile: the scheduler has been told to stop.
void trace_others(const Goroutine* except, std::uint64_t limit);

}  // namespace stacktide::runtime
