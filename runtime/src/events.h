// Event rings: the last stack events, in memory, for a debugger to read live or in a core.
//
// One ring per P, and one more (the last) for threads without a P. A writer fills the slot, then raises the count; nobody waits. After
// that it calls the hook, an empty function to set a breakpoint on.
#pragma once

#include <atomic>
#include <cstdint>

#include "goroutine.h"

namespace stacktide::runtime {

struct Event {
  std::int64_t time;
  std::uint64_t goroutine;
  std::uint64_t old_lo;
  std::uint64_t new_lo;
  std::uint64_t pc;
  std::uint32_t old_size;
  std::uint32_t new_size;
  std::uint32_t used;
  std::uint32_t adjusted;
  std::uint32_t duration;
  std::uint16_t kind;
  std::uint16_t ring;
};
static_assert(sizeof(Event) == 64);

struct EventRing {
  Event* records;
  std::uint64_t capacity;
  std::atomic<std::uint64_t> count;
  std::uint64_t padding[5];
};
static_assert(sizeof(EventRing) == 64);

// Sizes and durations in an event saturate.
inline std::uint32_t clamp32(std::uint64_t value) { return value > 0xffffffff ? 0xffffffff : static_cast<std::uint32_t>(value); }

// Makes procs + 1 rings of `capacity` events each.
void make_event_rings(std::uint32_t procs, std::uint32_t capacity);
// Writes the event into this thread's ring and calls the hook. `caller`: return address into the caller of the function at pc.
void record_event(const Event& event, std::uint64_t caller);

}  // namespace stacktide::runtime

// Called after each event with its record (in the ring) and the caller's pc. Empty.
extern "C" void stacktide_stack_event(const stacktide::runtime::Event* event, std::uint64_t caller);
