#include "processor.h"

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

}  // namespace stacktide::runtime
