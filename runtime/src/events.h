// Event rings: the last stack events, in memory, for a debugger to read live or in a core.
//
// One ring per P, and one more (the last) for threads without a P. A writer fills the slot, then raises the count; nobody
// waits. After that it calls the hook, an empty function to set a breakpoint on. Moves under STACKTIDE_STRESS=move have as
// many rings of their own, which are not exported: they would wash out the events that the program would have without them,
// yet a fault in a stack that was left is to be explained (stack_history.h).
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
  std::uint32_t scanned;
  std::uint32_t duration;
  std::uint16_t kind;
  std::uint16_t ring;
};
static_assert(sizeof(Event) == 72);

struct EventRing {
  Event* records;
  std::uint64_t capacity;
  std::atomic<std::uint64_t> count;
  std::uint64_t padding[5];
};
static_assert(sizeof(EventRing) == 64);

// Sizes and durations in an event saturate.
inline std::uint32_t clamp32(std::uint64_t value) {
  return value > 0xffffffff ? 0xffffffff : static_cast<std::uint32_t>(value);
}

// Makes procs + 1 rings of `capacity` events each, and the same for stress moves if wanted.
void make_event_rings(std::uint32_t procs, std::uint32_t capacity, bool stress);
// Writes the event into this thread's ring and calls the hook. `caller`: return address into the caller of the function at
// pc.
void record_event(const Event& event, std::uint64_t caller);
// The same for a move under stress; no hook.
void record_stress_move(const Event& event);

// Calls visit(event, number) for each event that the rings still hold, stress moves too; `number` counts the events of its
// ring from 0. Takes no lock: an event that is written meanwhile may be seen torn.
template <class Visit>
void for_each_event(Visit visit);

struct EventRings {
  EventRing* rings;
  std::uint32_t count;
};
EventRings all_event_rings();

template <class Visit>
void for_each_event(Visit visit) {
  const EventRings all = all_event_rings();
  for (std::uint32_t i = 0; i < all.count; ++i) {
    const EventRing& ring = all.rings[i];
    const std::uint64_t count = ring.count.load(std::memory_order_acquire);
    for (std::uint64_t n = count > ring.capacity ? count - ring.capacity : 0; n < count; ++n)
      visit(ring.records[n & (ring.capacity - 1)], n);
  }
}

}  // namespace stacktide::runtime

// Called after each event with its record (in the ring) and the caller's pc. Empty.
extern "C" void stacktide_stack_event(const stacktide::runtime::Event* event, std::uint64_t caller);
