// The part of a mutex that its handle changes by itself, when there is nobody to wait for or to wake.
#pragma once

#include <atomic>
#include <cstdint>

#include "stacktide/detail/shared_core.h"

namespace stacktide::detail {

struct mutex_state : shared_core {
  static constexpr std::uint32_t kLocked = 1;
  static constexpr std::uint32_t kContended = 2;  // unlocking is not enough: somebody waits

  // All acquire; pairs with the release of unlock() here and in the runtime's mutex.cpp.
  bool lock_now() {
    std::uint32_t free = 0;
    return word.compare_exchange_strong(free, kLocked, std::memory_order_acquire, std::memory_order_relaxed);
  }
  bool try_lock() {
    std::uint32_t now = word.load(std::memory_order_relaxed);
    while ((now & kLocked) == 0) {
      if (word.compare_exchange_weak(now, now | kLocked, std::memory_order_acquire, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  bool unlock_now() {
    std::uint32_t locked = kLocked;
    return word.compare_exchange_strong(locked, 0, std::memory_order_release, std::memory_order_relaxed);
  }

  std::atomic<std::uint32_t> word = 0;
};

}  // namespace stacktide::detail
