#include "processor.h"

#include "scheduler.h"

namespace stacktide::runtime {
namespace {

// With one P there is nobody to steal, and what its owner does needs no locked instruction, of which each costs as much as
// twenty others.
bool alone() { return scheduler.max_procs == 1; }

// Moves half of the full ring and g to the global queue. False when thieves made room meanwhile.
bool spill(P& p, Goroutine* g, std::uint32_t head, std::uint32_t tail) {
  const std::uint32_t n = (tail - head) / 2;
  Goroutine* batch[kRunQueue / 2 + 1];
  for (std::uint32_t i = 0; i < n; ++i) batch[i] = p.run_queue[(head + i) % kRunQueue].load(std::memory_order_relaxed);
  if (!p.run_head.compare_exchange_strong(head, head + n, std::memory_order_acq_rel)) return false;
  batch[n] = g;
  global_put(batch, n + 1);
  return true;
}

// Only the owner fills run_next; a thief may empty it.
Goroutine* take_run_next(P& p) {
  Goroutine* next = p.run_next.load(std::memory_order_relaxed);
  if (alone()) {
    p.run_next.store(nullptr, std::memory_order_relaxed);
    return next;
  }
  if (next != nullptr && p.run_next.compare_exchange_strong(next, nullptr, std::memory_order_acq_rel)) return next;
  return nullptr;
}

Goroutine* take_from_ring(P& p) {
  for (;;) {
    std::uint32_t head = p.run_head.load(std::memory_order_acquire);
    const std::uint32_t tail = p.run_tail.load(std::memory_order_relaxed);
    if (tail == head) return nullptr;
    Goroutine* g = p.run_queue[head % kRunQueue].load(std::memory_order_relaxed);
    if (alone()) {
      p.run_head.store(head + 1, std::memory_order_release);
      return g;
    }
    if (p.run_head.compare_exchange_strong(head, head + 1, std::memory_order_acq_rel)) return g;
  }
}

}  // namespace

void run_queue_put(P& p, Goroutine* g, bool next) {
  if (next) {
    Goroutine* before = nullptr;
    if (alone()) {
      before = p.run_next.load(std::memory_order_relaxed);
      p.run_next.store(g, std::memory_order_release);
    } else {
      before = p.run_next.exchange(g, std::memory_order_acq_rel);
    }
    if (before == nullptr) return;
    g = before;
  }
  for (;;) {
    const std::uint32_t head = p.run_head.load(std::memory_order_acquire);
    const std::uint32_t tail = p.run_tail.load(std::memory_order_relaxed);
    if (tail - head < kRunQueue) {
      p.run_queue[tail % kRunQueue].store(g, std::memory_order_relaxed);
      p.run_tail.store(tail + 1, std::memory_order_release);
      return;
    }
    if (spill(p, g, head, tail)) return;
  }
}

Goroutine* run_queue_get(P& p, bool ring_first) {
  if (ring_first) {
    if (Goroutine* g = take_from_ring(p)) return g;
    return take_run_next(p);
  }
  if (Goroutine* g = take_run_next(p)) return g;
  return take_from_ring(p);
}

Goroutine* run_queue_steal(P& p, P& victim) {
  const std::uint32_t tail = p.run_tail.load(std::memory_order_relaxed);
  for (;;) {
    std::uint32_t head = victim.run_head.load(std::memory_order_acquire);
    const std::uint32_t victim_tail = victim.run_tail.load(std::memory_order_acquire);
    const std::uint32_t there = victim_tail - head;
    std::uint32_t n = there - there / 2;
    if (there > kRunQueue) continue;  // head and tail were read at different times
    if (n == 0) {
      Goroutine* next = victim.run_next.load(std::memory_order_acquire);
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

bool run_queue_empty(const P& p) {
  return p.run_head.load(std::memory_order_acquire) == p.run_tail.load(std::memory_order_acquire) &&
         p.run_next.load(std::memory_order_acquire) == nullptr;
}

}  // namespace stacktide::runtime
