// The lock of what goroutines share: channels, mutexes, wait groups.
//
// Concept. One word: free, held, or held with threads that wait in the kernel (Drepper, "Futexes Are Tricky", the second
// mutex). Sections under it are a few dozen instructions, so whoever finds it held looks again for a while before it sleeps.
// With one P it is not even touched (solo.h). Inlined, for a send on a channel is not much longer than a call of
// pthread_mutex_lock().
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

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
  static constexpr int kLooks = 100;

  bool try_lock() {
    std::uint32_t expected = kFree;
    return word_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void let_go() {
    if (word_.exchange(kFree, std::memory_order_release) == kAwaited) [[unlikely]]
      futex(FUTEX_WAKE_PRIVATE, 1);
  }
  [[gnu::noinline]] void wait() {
    for (int i = 0; i < kLooks; ++i) {
      if (word_.load(std::memory_order_relaxed) == kFree && try_lock()) return;
      asm volatile("pause");
    }
    // Whoever has slept cannot know whether others still do.
    while (word_.exchange(kAwaited, std::memory_order_acquire) != kFree) futex(FUTEX_WAIT_PRIVATE, kAwaited);
  }
  void futex(int operation, std::uint32_t value) {
    syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word_), operation, value, nullptr, nullptr, 0);
  }

  std::atomic<std::uint32_t> word_ = kFree;
};

}  // namespace stacktide::runtime
