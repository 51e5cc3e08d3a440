// mutex, once and wait_group. All are handles: copy them, capture them by value, never by reference; copies are the same
// thing. As with a pointer, a constant handle may do all that another may.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "stacktide/detail/entries.h"
#include "stacktide/detail/mutex_state.h"
#include "stacktide/detail/shared_core.h"

namespace stacktide {

// A lock for goroutines; unlike a std::mutex it may be held while its goroutine waits for something, and another goroutine
// may unlock it. Works with std::lock_guard, std::unique_lock and std::scoped_lock. Who waits gets it in turn, but a
// goroutine that runs may be faster than one that is only being woken; once somebody has waited for a millisecond, it goes
// to the first in the queue and to nobody else (as in Go).
class mutex {
 public:
  mutex() : core_(detail::stacktide_mutex_make()) {}
  mutex(const mutex& other) : core_(other.core_) { core_->retain(); }
  mutex(mutex&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  mutex& operator=(mutex other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~mutex() {
    if (core_ != nullptr && core_->release()) detail::stacktide_mutex_free(core_);
  }

  void lock() const {
    if (core_->lock_now()) return;
    for (std::uint64_t woken = 0; detail::stacktide_mutex_lock(core_, woken) == 0;) woken = 1;
  }
  bool try_lock() const { return core_->try_lock(); }
  // Of a mutex that is not locked, the program ends ("sync: unlock of unlocked mutex").
  void unlock() const {
    if (!core_->unlock_now()) detail::stacktide_mutex_unlock(core_);
  }
  // How many goroutines wait for it now.
  std::size_t waiting() const { return detail::stacktide_mutex_waiting(core_); }

 private:
  detail::mutex_state* core_;
};

// Does something the first time. An exception is not that time: it reaches the caller, and the next call tries again, as
// with std::call_once. (Go's Once counts a panic as done; there the program usually ends, here it usually goes on, and
// should not go on without what was to be made.)
class once {
 public:
  // Calls f(), unless a call has returned before. While another goroutine is in it, waits until that is decided. f must not
  // call it again.
  template <std::invocable F>
  void call(F&& f) const {
    // Pairs with the store below: who sees `done` sees what f did.
    if (state_->done.load(std::memory_order_acquire)) return;
    const std::lock_guard guard(state_->busy);
    if (state_->done.load(std::memory_order_relaxed)) return;
    std::invoke(std::forward<F>(f));
    state_->done.store(true, std::memory_order_release);
  }

 private:
  struct state {
    std::atomic<bool> done = false;
    mutex busy;
  };
  std::shared_ptr<state> state_ = std::make_shared<state>();
};

// Waits for a number of goroutines to finish.
class wait_group {
 public:
  wait_group() : core_(detail::stacktide_wait_group_make()) {}
  wait_group(const wait_group& other) : core_(other.core_) { core_->retain(); }
  wait_group(wait_group&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  wait_group& operator=(wait_group other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~wait_group() {
    if (core_ != nullptr && core_->release()) detail::stacktide_wait_group_free(core_);
  }

  // Adds n to the counter. Below zero the program ends ("sync: negative WaitGroup counter").
  void add(std::int64_t n) const { detail::stacktide_wait_group_add(core_, n); }
  void done() const { add(-1); }
  // Waits until the counter is zero.
  void wait() const { detail::stacktide_wait_group_wait(core_); }

 private:
  detail::shared_core* core_;
};

template <>
inline constexpr bool detail::is_handle<mutex> = true;
template <>
inline constexpr bool detail::is_handle<wait_group> = true;

}  // namespace stacktide
