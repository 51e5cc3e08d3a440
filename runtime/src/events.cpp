#include "events.h"

#include <sys/mman.h>

#include <mutex>

#include "fatal.h"
#include "metadata.h"
#include "scheduler.h"

// Its arguments are in rdi and rsi at the first instruction; nothing is inlined into it or cloned from it.
extern "C" __attribute__((noinline, noclone, noipa, used, visibility("default"))) void stacktide_stack_event(
    const stacktide::runtime::Event*, std::uint64_t) {
  asm volatile("");
}

namespace stacktide::runtime {
namespace {
constinit EventRing* rings = nullptr;
constinit std::uint32_t ring_count = 0;  // that are exported
constinit std::uint32_t all_rings = 0;   // those and the ones for stress moves, in the same order behind them
// Guards the last ring, which threads without a P share.
constinit std::mutex shared_ring_lock;

const Event& write(std::uint32_t index, Event event) {
  EventRing& ring = rings[index];
  const std::uint64_t n = ring.count.load(std::memory_order_relaxed);
  Event& slot = ring.records[n & (ring.capacity - 1)];
  event.ring = static_cast<std::uint16_t>(index);
  slot = event;
  ring.count.store(n + 1, std::memory_order_release);
  return slot;
}
}  // namespace

void make_event_rings(std::uint32_t procs, std::uint32_t capacity, bool stress) {
  ring_count = procs + 1;
  all_rings = stress ? 2 * ring_count : ring_count;
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
  publish_event_rings(rings, ring_count);
}

void record_event(const Event& event, std::uint64_t caller) {
  if (const P* p = own_p()) {
    stacktide_stack_event(&write(p->id, event), caller);
    return;
  }
  std::lock_guard guard(shared_ring_lock);
  stacktide_stack_event(&write(ring_count - 1, event), caller);
}

void record_stress_move(const Event& event) {
  // A check moves a stack on its own thread, which has a P.
  if (const P* p = own_p()) write(ring_count + p->id, event);
}

EventRings all_event_rings() { return {rings, all_rings}; }

}  // namespace stacktide::runtime
