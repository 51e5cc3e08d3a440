// What the environment sets: STACKTIDE_MAXPROCS, _POLICY, _MINSTACK, _SEGMENT, _MAXSTACK, _SHRINK, _STRESS, _STRICT, _FREED,
// _ADJUST, _EVENTS, _TRACEBACK, _TRACE, _TRACE_FULL, _TRACE_LIMIT. Read once, by run().
#pragma once

#include <cstdint>

#include "goroutine.h"
#include "stack.h"
#include "trace_file.h"
#include "traceback.h"

namespace stacktide::runtime {

struct Options {
  std::uint32_t max_procs = 1;             // STACKTIDE_MAXPROCS: 1..256; default: the cores this process may use
  std::uint8_t policy = policy_automatic;  // STACKTIDE_POLICY: auto, contiguous, segmented
  std::uint8_t adjust = adjust_maps;       // STACKTIDE_ADJUST: maps, scan
  std::uint64_t min_stack = 2048;          // STACKTIDE_MINSTACK: bytes, a power of two from 2048
  std::uint64_t segment_size = 8192;       // STACKTIDE_SEGMENT: bytes of a linked segment, a power of two from 2048
  std::uint64_t max_stack = std::uint64_t{1} << 30;  // STACKTIDE_MAXSTACK: bytes over all segments
  bool shrink = true;                                // STACKTIDE_SHRINK=off: only shrink_stacks() shrinks
  bool stress_move = false;                          // STACKTIDE_STRESS=move: each check moves the stack
  Freed freed =
      freed_reuse;      // STACKTIDE_FREED: what becomes of freed stacks: reuse, poison, unmap; with STRESS=move: poison
  bool strict = false;  // STACKTIDE_STRICT=on: an address of a stack that escapes ends the program
  std::uint32_t events = 4096;                        // STACKTIDE_EVENTS: records per event ring, a power of two
  TracebackLevel traceback = TracebackLevel::single;  // STACKTIDE_TRACEBACK: none, single, all, system: what an error shows
  // STACKTIDE_TRACE: the file that a recording goes to, %p stands for the process id; none: no recording.
  // STACKTIDE_TRACE_FULL: wait, drop. STACKTIDE_TRACE_LIMIT: bytes that the file may have, from 1M.
  TraceFileOptions trace;
};

// The options of this process. A value that makes no sense ends it, naming variable and value.
Options read_options();

}  // namespace stacktide::runtime
