// A snapshot as the walker would fill it, for tests of what stands above the walker.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "stacktide/core/snapshot.h"

namespace stacktide::test {

// Waits to receive on a channel: 2048 bytes of stack, 312 of them in use, 700 at most.
inline Goroutine parked(std::uint64_t id) {
  Goroutine g;
  g.id = id;
  g.address = 0x200000 + id * 0x100;
  g.status = "waiting";
  g.wait_reason = "chan receive";
  g.function = "parked";
  g.file = "/home/someone/park.cpp";
  g.line = 21;
  auto& stack = g.stack;
  stack.lo = 0x7f0000000000 + id * 0x1000;
  stack.hi = stack.lo + 2048;
  stack.guard = stack.guard_slot = stack.lo + 928;
  stack.guard_state = GuardState::armed;
  stack.sp = stack.hi - 312;
  stack.size = 2048;
  stack.used = 312;
  stack.headroom = 808;
  stack.high_water = 700;
  stack.segments = {{stack.lo, stack.hi, stack.sp, 0}};
  return g;
}

inline Snapshot snapshot_of(std::vector<Goroutine> goroutines) {
  Snapshot snapshot;
  snapshot.target = "process 4242 (/home/someone/park)";
  snapshot.pid = 4242;
  snapshot.goroutines = std::move(goroutines);
  snapshot.goroutine_counts = {snapshot.goroutines.size(), snapshot.goroutines.size(), 0};
  snapshot.runtime.constants = {{"stack_small", 256}, {"stack_min", 2048}, {"stack_max", 1 << 30}};
  snapshot.scheduler.policy = "auto";
  snapshot.scheduler.values = {{"segment_size", 8192}, {"min_stack", 2048}, {"max_stack", 1 << 30}, {"shrink", 1}};
  return snapshot;
}

inline Frame frame(std::string function, std::string file, std::uint32_t line) {
  Frame f;
  f.pc = 0x401000 + line;
  f.sp = 0x7f0000000600;
  f.cfa = 0x7f0000000630;
  f.size = 48;
  f.function = std::move(function);
  f.file = std::move(file);
  f.line = line;
  f.module = "/home/someone/park";
  return f;
}

}  // namespace stacktide::test
