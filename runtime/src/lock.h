// The lock of what goroutines share: channels, mutexes, wait groups.
//
// Concept. A word that says whether it is held, and how many threads sleep until it is not. Sections under it are a few
// dozen instructions, so whoever finds it held looks again for a while before it sleeps. Inlined, for a send on a channel is
// not much longer than a call of pthread_mutex_lock(). With one P it is not even touched (solo.h).
//
// Letting go is a plain store, and then a look at the sleepers: a locked instruction less, a third of a send. Who goes to
// sleep makes up for it, once it is counted, by a barrier in every thread of the process: either the holder sees it, or it
// sees that the lock is free. Without membarrier the store is a locked one.
//
// Rejected: the three states of Drepper's "Futexes Are Tricky", whose unlock is an exchange.
#pragma once

#include <atomic>
#include <cstdint>

#include "solo.h"

namespace stacktide::runtime {

class Lock {
 public:
  void lock() {
    if (Solo::on() && Solo::enter()) return;
    if (!try_lock()) [[unlikely]]
      wait();
  }
  void unlock() {
    if (!Solo::on()) {
      let_go();
    } else if (held_.load(std::memory_order_relaxed) == 0) {
      Solo::leave();
    } else {
      let_go();
      Solo::done_outside();
    }
  }

 private:
  bool try_lock() {
    std::uint32_t free = 0;
    return held_.compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void let_go() {
    if (has_process_barrier()) [[likely]] {
      held_.store(0, std::memory_order_release);
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      held_.exchange(0, std::memory_order_seq_cst);
    }
    if (sleepers_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      wake();
  }
  void wait();
  void wake();

  std::atomic<std::uint32_t> held_ = 0;
  std::atomic<std::uint32_t> sleepers_ = 0;
};

}  // namespace stacktide::runtime
