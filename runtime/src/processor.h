// P: the right to run goroutines, with a run queue of its own.
//
// The queue is Go's (runtime/proc.go, runqput, runqget, runqsteal): a ring that only its owner fills and that anyone
// empties. `run_tail` is written by the owner alone; `run_head` moves by compare-and-swap. `run_next` is one slot before the
// ring, for the goroutine that was made ready by the running one: a pair that talks to each other is not delayed by the
// queue.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "goroutine.h"
#include "stack.h"

namespace stacktide::runtime {

struct M;

inline constexpr std::uint32_t kRunQueue = 256;

struct alignas(64) P {
  std::uint32_t id;
  std::atomic<std::uint8_t> status;
  std::atomic<M*> m;
  std::atomic<std::uint32_t> run_head;
  std::atomic<std::uint32_t> run_tail;
  std::atomic<Goroutine*> run_queue[kRunQueue];
  std::atomic<Goroutine*> run_next;
  std::atomic<std::uint64_t> ticks;  // goroutines started
  // Private from here on.
  P* next_idle;
  std::uint32_t random;
  StackCache stacks;
  RecordCache records;
};

// There is but one P, so that nobody steals, and what its owner does needs no locked instruction, of which each costs as
// much as twenty others. Set before the first goroutine.
extern bool single_p;

// Moves half of the full ring and g to the global queue. False when thieves made room meanwhile.
bool run_queue_spill(P& p, Goroutine* g, std::uint32_t head, std::uint32_t tail);
// Moves half of victim's goroutines to p (whose ring must be empty) and returns one of them, or nullptr. `next_too`: what it
// has in run_next, if there is nothing else and it does not run it in the next microseconds: goroutines that wake each other
// are best left on one thread.
Goroutine* run_queue_steal(P& p, P& victim, bool next_too);

// Owner only. Puts g at the tail of the ring. When it is full, half of it and g go to the global queue.
inline void run_queue_put_last(P& p, Goroutine* g) {
  for (;;) {
    const std::uint32_t head = p.run_head.load(std::memory_order_acquire);
    const std::uint32_t tail = p.run_tail.load(std::memory_order_relaxed);
    if (tail - head < kRunQueue) [[likely]] {
      p.run_queue[tail % kRunQueue].store(g, std::memory_order_relaxed);
      p.run_tail.store(tail + 1, std::memory_order_release);
      return;
    }
    if (run_queue_spill(p, g, head, tail)) return;
  }
}

// Owner only. Puts g into run_next; the one there before goes to the tail.
inline void run_queue_put_next(P& p, Goroutine* g) {
  Goroutine* before = nullptr;
  if (single_p) {
    before = p.run_next.load(std::memory_order_relaxed);
    p.run_next.store(g, std::memory_order_release);
  } else {
    before = p.run_next.exchange(g, std::memory_order_acq_rel);
  }
  if (before != nullptr) run_queue_put_last(p, before);
}

// Owner only: nobody else fills run_next, but a thief may empty it.
inline Goroutine* take_run_next(P& p) {
  Goroutine* next = p.run_next.load(std::memory_order_relaxed);
  if (next == nullptr) return nullptr;
  if (single_p) {
    p.run_next.store(nullptr, std::memory_order_relaxed);
    return next;
  }
  return p.run_next.compare_exchange_strong(next, nullptr, std::memory_order_acq_rel) ? next : nullptr;
}

// Owner only.
inline Goroutine* take_from_ring(P& p) {
  for (;;) {
    std::uint32_t head = p.run_head.load(std::memory_order_acquire);
    if (p.run_tail.load(std::memory_order_relaxed) == head) return nullptr;
    Goroutine* g = p.run_queue[head % kRunQueue].load(std::memory_order_relaxed);
    if (single_p) {
      p.run_head.store(head + 1, std::memory_order_release);
      return g;
    }
    if (p.run_head.compare_exchange_strong(head, head + 1, std::memory_order_acq_rel)) return g;
  }
}

// Owner only. The next goroutine, or nullptr. `ring_first`: run_next only when the ring is empty.
inline Goroutine* run_queue_get(P& p, bool ring_first) {
  if (ring_first) {
    Goroutine* g = take_from_ring(p);
    return g != nullptr ? g : take_run_next(p);
  }
  Goroutine* g = take_run_next(p);
  return g != nullptr ? g : take_from_ring(p);
}

inline bool ring_empty(const P& p) {
  return p.run_head.load(std::memory_order_acquire) == p.run_tail.load(std::memory_order_acquire);
}
inline bool run_queue_empty(const P& p) { return ring_empty(p) && p.run_next.load(std::memory_order_acquire) == nullptr; }

}  // namespace stacktide::runtime
