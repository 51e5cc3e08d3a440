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

// Owner only. Puts g at the tail, or into run_next (then the one there before goes to the tail). When the ring is full, half
// of it and g go to the global queue.
void run_queue_put(P& p, Goroutine* g, bool next);
// Owner only. The next goroutine, or nullptr. `ring_first`: run_next only when the ring is empty.
Goroutine* run_queue_get(P& p, bool ring_first);
// Moves half of victim's goroutines to p (whose ring must be empty) and returns one of them, or nullptr.
Goroutine* run_queue_steal(P& p, P& victim);
bool run_queue_empty(const P& p);

}  // namespace stacktide::runtime
