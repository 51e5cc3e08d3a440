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
constinit std::uint32_t ring_count = 0;
// Guards the last ring, which threads without a P share.
constinit std::mutex shared_ring_lock;

void write(std::uint16_t index, Event event, std::uint64_t caller) {
  EventRing& ring = rings[index];
  const std::uint64_t n = ring.count.load(std::memory_order_relaxed);
  Event& slot = ring.records[n & (ring.capacity - 1)];
  event.ring = index;
  slot = event;
  ring.count.store(n + 1, std::memory_order_release);
  stacktide_stack_event(&slot, caller);
}
}  // namespace

void make_event_rings(std::uint32_t procs, std::uint32_t capacity) {
  ring_count = procs + 1;
  const std::size_t headers = (ring_count * sizeof(EventRing) + 4095) & ~std::size_t{4095};
  const std::size_t bytes = headers + std::size_t{ring_count} * capacity * sizeof(Event);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fatal("out of memory for event rings (a smaller STACKTIDE_EVENTS?)");
  rings = static_cast<EventRing*>(memory);
  Event* records = reinterpret_cast<Event*>(static_cast<char*>(memory) + headers);
  for (std::uint32_t i = 0; i < ring_count; ++i) {
    rings[i].records = records + std::size_t{i} * capacity;
    rings[i].capacity = capacity;
  }
  publish_event_rings(rings, ring_count);
}

void record_event(const Event& event, std::uint64_t caller) {
  if (const P* p = own_p()) {
    write(static_cast<std::uint16_t>(p->id), event, caller);
    return;
  }
  std::lock_guard guard(shared_ring_lock);
  write(static_cast<std::uint16_t>(ring_count - 1), event, caller);
}

}  // namespace stacktide::runtime
