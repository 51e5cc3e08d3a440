// Event rings: the last stack events, in memory, for a debugger to read live or in a core.
//
// One ring per P, and one more (the last) for threads without a P. A writer fills the slot, then raises the count; nobody
// waits. Moves under STACKTIDE_STRESS=move have as many rings of their own, which are not exported: they would wash out the
// events that the program would have without them, yet a fault in a stack that was left is to be explained
// (stack_history.h).
//
// Two hooks, empty functions to set a breakpoint on. stacktide_stack_event is called after each event.
// stacktide_events_pending is called by a ring's writer when the ring's count has become a multiple of half its capacity C,
// and by announce_events() for the rest: by the monitor ten times a second while there are new events, so that a trace of
// few events is live too, and where the program may end. USDT probes (stacktide:grow, ...) say the same to perf and
// bpftrace.
//
// A reader that stops all threads at each call of the second hook, and then takes what is new in all rings, loses nothing.
// (1) Each ring has one writer at a time. After a stop in which the reader has read a ring up to count c, that writer raises
// it at most to the next multiple of C/2, m <= c + C/2, and then stands at the hook: it adds nothing more before the reader
// has stopped all, and read up to m. It does not matter which thread's stop comes first, nor whether others are stopped
// before they reach the hook: that they still have to pass it bounds them. So never more than C/2 events of a ring are
// unread. (2) A writer may be stopped while it fills the slot of event n, before the count is n + 1. That ruins event n - C,
// which is unread only if more than C/2 are. The bound holds per ring: any number of writers go on at once.
//
// Rejected: a ring that waits for its reader (a program must not depend on being watched); a hook per event only (a stop
// costs a debugger 0.2 to 2 ms, an event the program 1 us).
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
  std::uint64_t caller = 0;  // record_event() fills it in
};
static_assert(sizeof(Event) == 80);

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
// Nanoseconds between two times of EventClock, which may be set back a little in between.
inline std::uint32_t elapsed32(std::int64_t from, std::int64_t to) {
  return to < from ? 0 : clamp32(static_cast<std::uint64_t>(to - from));
}

// Makes procs + 1 rings of `capacity` events each, and the same for stress moves if wanted.
void make_event_rings(std::uint32_t procs, std::uint32_t capacity, bool stress);
// Writes the event into this thread's ring, and calls the hooks. `caller`: return address into the caller of the function at
// pc. `chain`, `hot`: for a recording (recorder.h).
void record_event(const Event& event, std::uint64_t caller, std::uint32_t chain = 0, bool hot = false);
// Calls stacktide_events_pending if there are events since it was last called from here: now and then, and at ends of the
// program. Takes no lock, and may be called in a signal handler and before there are rings.
void announce_events();
bool unannounced_events();
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

extern "C" {
// Called after each event with its record (in the ring) and the caller's pc. Empty.
void stacktide_stack_event(const stacktide::runtime::Event* event, std::uint64_t caller);
// Called with the ring that is half full of new events; see above. Empty.
void stacktide_events_pending(const stacktide::runtime::EventRing* ring);
}
