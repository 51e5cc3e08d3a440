// The cores of mutexes and wait groups, for what works on them and for the descriptor: mutex.cpp and wait_group.cpp say what
// they mean.
#pragma once

#include <atomic>
#include <cstdint>

#include "lock.h"
#include "stack.h"
#include "stacktide/detail/mutex_state.h"
#include "wait_queue.h"

namespace stacktide::runtime {

static_assert(k_mutex_locked == detail::mutex_state::kLocked);

struct Mutex : detail::mutex_state {
  Lock lock;
  WaitQueue waiters;
  bool candidate = false;  // a waiter was woken and has not come back yet
  bool starving = false;

  std::uint32_t contended() const { return waiters.empty() ? 0 : kContended; }
};

struct WaitGroup : detail::shared_core {
  Lock lock;
  std::int64_t count = 0;
  WaitQueue waiters;
};

}  // namespace stacktide::runtime
