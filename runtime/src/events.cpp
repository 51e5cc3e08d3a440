#include "events.h"

#include <sys/mman.h>
#include <sys/sdt.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>

#include "fatal.h"
#include "metadata.h"
#include "recorder.h"
#include "scheduler.h"
#include "stacktide/abi.h"

// Its arguments are in rdi and rsi at the first instruction; nothing is inlined into it or cloned from it.
extern "C" __attribute__((noinline, noclone, noipa, used, visibility("default"))) void stacktide_stack_event(
    const stacktide::runtime::Event*, std::uint64_t) {
  asm volatile("");
}

extern "C" __attribute__((noinline, noclone, noipa, used, visibility("default"))) void stacktide_events_pending(
    const stacktide::runtime::EventRing*) {
  asm volatile("");
}

namespace stacktide::runtime {
namespace {
constinit EventRing* rings = nullptr;
constinit std::uint32_t ring_count = 0;  // that are exported
constinit std::uint32_t all_rings = 0;   // those and the ones for stress moves, in the same order behind them
// Guards the last ring, which threads without a P share.
constinit std::mutex shared_ring_lock;
// Of all exported rings, when announce_events() last called the hook.
constinit std::atomic<std::uint64_t> announced = 0;
// And when it was last about to.
constinit std::atomic<std::uint64_t> claimed = 0;

const Event& write(std::uint32_t index, Event event) {
  EventRing& ring = rings[index];
  const std::uint64_t n = ring.count.load(std::memory_order_relaxed);
  Event& slot = ring.records[n & (ring.capacity - 1)];
  event.ring = static_cast<std::uint16_t>(index);
  slot = event;
  ring.count.store(n + 1, std::memory_order_release);
  return slot;
}

std::uint64_t all_events() {
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < ring_count; ++i) total += rings[i].count.load(std::memory_order_acquire);
  return total;
}

// A nop each, and a note that tells tracers where it is and where its arguments are. The kinds have probes of their own, so
// that a tracer stops at those alone that it was asked for.
void probe(const Event& event, std::uint64_t caller) {
  switch (event.kind) {
    case event_kind_grow:
      STAP_PROBE6(stacktide, grow, event.goroutine, event.old_size, event.new_size, event.used, event.pc, caller);
      break;
    case event_kind_shrink:
      STAP_PROBE6(stacktide, shrink, event.goroutine, event.old_size, event.new_size, event.used, event.pc, caller);
      break;
    case event_kind_link:
      STAP_PROBE6(stacktide, link, event.goroutine, event.old_size, event.new_size, event.used, event.pc, caller);
      break;
    case event_kind_release:
      STAP_PROBE6(stacktide, release, event.goroutine, event.old_size, event.new_size, event.used, event.pc, caller);
      break;
    default:
      break;
  }
}

void record_in(std::uint32_t index, const Event& event) {
  stacktide_stack_event(&write(index, event), event.caller);
  const EventRing& ring = rings[index];
  // Read again rather than kept over the hook: this thread alone writes the ring now.
  const std::uint64_t count = ring.count.load(std::memory_order_relaxed);
  if ((count & (ring.capacity / 2 - 1)) == 0) stacktide_events_pending(&ring);
  probe(event, event.caller);
}
}  // namespace

void make_event_rings(std::uint32_t procs, std::uint32_t capacity, bool stress) {
  const std::uint32_t exported = procs + 1;
  all_rings = stress ? 2 * exported : exported;
  const std::size_t headers = (all_rings * sizeof(EventRing) + 4095) & ~std::size_t{4095};
  const std::size_t bytes = headers + std::size_t{all_rings} * capacity * sizeof(Event);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fatal("out of memory for event rings (a smaller STACKTIDE_EVENTS?)");
  rings = static_cast<EventRing*>(memory);
  Event* records = reinterpret_cast<Event*>(static_cast<char*>(memory) + headers);
  for (std::uint32_t i = 0; i < all_rings; ++i) {
    rings[i].records = records + std::size_t{i} * capacity;
    rings[i].capacity = capacity;
  }
  ring_count = exported;  // last: announce_events() may be called at any time
  publish_event_rings(rings, ring_count);
  std::atexit(announce_events);
}

void record_event(const Event& given, std::uint64_t caller, std::uint32_t chain, bool hot) {
  Event event = given;
  event.caller = caller;
  if (is_recording()) [[unlikely]]
    record_stack_event(event, chain, hot);
  if (const P* p = own_p()) {
    record_in(p->id, event);
    return;
  }
  std::lock_guard guard(shared_ring_lock);
  record_in(ring_count - 1, event);
}

void announce_events() {
  const std::uint64_t total = all_events();
  std::uint64_t before = announced.load(std::memory_order_acquire);
  if (before >= total) return;
  // Another thread may be about to call the hook: whoever ends the program waits until it has, or nobody would see the last
  // events. Not for ever: a signal may have come in between on this very thread.
  if (claimed.exchange(total, std::memory_order_acq_rel) == total) {
    for (int i = 0; i < 1000; ++i) {
      if (announced.load(std::memory_order_acquire) >= total) return;
      usleep(100);
    }
  }
  stacktide_events_pending(rings);
  while (before < total && !announced.compare_exchange_weak(before, total, std::memory_order_acq_rel)) {
  }
}

bool unannounced_events() { return all_events() != announced.load(std::memory_order_relaxed); }

void record_stress_move(const Event& event) {
  // A check moves a stack on its own thread, which has a P.
  if (const P* p = own_p()) write(ring_count + p->id, event);
}

EventRings all_event_rings() { return {rings, all_rings}; }

}  // namespace stacktide::runtime
