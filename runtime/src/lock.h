// The lock of what goroutines share: channels, mutexes, wait groups, poll descriptors.
//
// Concept. One word: free, held, or held with threads that wait in the kernel (Drepper, "Futexes Are Tricky", the second
// mutex). Sections under it are a few dozen instructions, so whoever finds it held looks again for a while before it sleeps.
// Inlined, for a send on a channel is not much longer than a call of pthread_mutex_lock(). With one P it is not even touched
// (solo.h).
//
// Invariant. The exchange is the last that unlock() does with the lock: the next holder may free it.
//
// Rejected: to let go by a plain store, and then to look whether somebody sleeps (with a barrier in every thread on the
// sleeper's side): a locked instruction less, but by then the lock may be gone.
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
    } else if (word_.load(std::memory_order_relaxed) == kFree) {
      Solo::leave();
    } else {
      let_go();
      Solo::done_outside();
    }
  }

 private:
  enum State : std::uint32_t { kFree, kHeld, kAwaited };

  bool try_lock() {
    std::uint32_t expected = kFree;
    return word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void let_go() {
    if (word_.exchange(kFree, std::memory_order_release) == kAwaited) [[unlikely]]
      wake();
  }
  void wait();
  void wake();

  std::atomic<std::uint32_t> word_ = kFree;
};

}  // namespace stacktide::runtime
