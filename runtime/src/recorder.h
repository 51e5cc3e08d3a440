// Recording: every stack event, spawn, exit, park, wake and label goes to a trace file as it happens (STACKTIDE_TRACE).
//
// Concept. Each place in the runtime where one of these happens calls a function below, which returns at once unless
// recording is on. Records go to the lane of the thread's P, or to the one that all other threads share. Yields are not
// recorded: they change neither stacks nor who waits for what, and there are very many of them. How the file is filled is
// trace_file.h's, chains of calls are call_chains.h's.
//
// The end. end_recording() writes how the program ends and, for each goroutine that is still there, the runtime's own
// counters. It is called where the program ends by itself: exit(), and every fatal path. A process that is killed has no end
// in its trace.
//
// In a forked child recording is off: the file is its parent's.
#pragma once

#include <atomic>
#include <cstdint>

#include "events.h"
#include "goroutine.h"
#include "trace_file.h"

namespace stacktide::runtime {

extern std::atomic<bool> recording;
inline bool is_recording() { return recording.load(std::memory_order_relaxed); }

// Opens the file and starts. Once, when the scheduler's options are known and before the first goroutine. `path` may hold
// %p, for the process id. nullptr: no recording.
void start_recording(TraceFileOptions options);

// `chain`: of a grow or a link, from stack_chain(); else 0. `hot`: a link where the function that crossed last crosses
// again.
void record_stack_event(const Event& event, std::uint32_t chain, bool hot);
// Of the failed check that g's saved context is in; 0 when recording is off.
std::uint32_t stack_chain(const Goroutine& g, std::uint64_t pc, std::uint64_t caller);
void record_spawn(const Goroutine& g, bool main);
void record_exit(const Goroutine& g);
// g's context is saved; its wait_reason, wait_object and wait_since are set.
void record_park(const Goroutine& g);
void record_ready(const Goroutine& g);
void record_label(const Goroutine& g);

// The program ends, in these words. In a signal handler too. The first call counts.
void end_recording(const char* how);

}  // namespace stacktide::runtime
