#include "processor.h"

#include <unistd.h>

#include "scheduler.h"

namespace stacktide::runtime {

constinit bool single_p = false;

bool run_queue_spill(P& p, Goroutine* g, std::uint32_t head, std::uint32_t tail) {
  const std::uint32_t n = (tail - head) / 2;
  Goroutine* batch[kRunQueue / 2 + 1];
  for (std::uint32_t i = 0; i < n; ++i) batch[i] = p.run_queue[(head + i) % kRunQueue].load(std::memory_order_relaxed);
  if (!p.run_head.compare_exchange_strong(head, head + n, std::memory_order_acq_rel)) return false;
  batch[n] = g;
  global_put(batch, n + 1);
  return true;
}

namespace {

// What victim has in run_next, if it has not come to it some microseconds later, nor to anything else; nullptr: it goes on by
// itself, or has more than that by now. The wait is a sleep, as in Go's runqgrab(): to look all the time would keep taking the
// queue's cache lines away from who works on them, and an M that sleeps here counts as spinning, so that nobody wakes another.
Goroutine* stale_next(const P& victim) {
  Goroutine* next = victim.run_next.load(std::memory_order_acquire);
  const std::uint64_t ticks = victim.ticks.load(std::memory_order_relaxed);
  usleep(3);
  const bool stale = ring_empty(victim) && victim.ticks.load(std::memory_order_relaxed) == ticks &&
                     victim.run_next.load(std::memory_order_acquire) == next;
  return stale ? next : nullptr;
}

}  // namespace

Goroutine* run_queue_steal(P& p, P& victim, bool next_too) {
  const std::uint32_t tail = p.run_tail.load(std::memory_order_relaxed);
  for (;;) {
    std::uint32_t head = victim.run_head.load(std::memory_order_acquire);
    const std::uint32_t victim_tail = victim.run_tail.load(std::memory_order_acquire);
    const std::uint32_t there = victim_tail - head;
    std::uint32_t n = there - there / 2;
    if (there > kRunQueue) continue;  // head and tail were read at different times
    if (n == 0) {
      if (!next_too || victim.run_next.load(std::memory_order_relaxed) == nullptr) return nullptr;
      Goroutine* next = stale_next(victim);
      if (next == nullptr && !ring_empty(victim)) continue;
      if (next == nullptr || !victim.run_next.compare_exchange_strong(next, nullptr, std::memory_order_acq_rel))
        return nullptr;
      return next;
    }
    for (std::uint32_t i = 0; i < n; ++i) {
      p.run_queue[(tail + i) % kRunQueue].store(victim.run_queue[(head + i) % kRunQueue].load(std::memory_order_relaxed),
                                                std::memory_order_relaxed);
    }
    if (!victim.run_head.compare_exchange_strong(head, head + n, std::memory_order_acq_rel)) continue;
    --n;
    Goroutine* g = p.run_queue[(tail + n) % kRunQueue].load(std::memory_order_relaxed);
    if (n != 0) p.run_tail.store(tail + n, std::memory_order_release);
    return g;
  }
}

}  // namespace stacktide::runtime
