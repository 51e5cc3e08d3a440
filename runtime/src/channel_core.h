// The core of a channel, for what works on it: channel.cpp and select.cpp.
//
// Invariants, under the lock: at most one of receivers and senders has waiters that are not decided, but for those of one
// select that both sends and receives; when receivers wait, the ring is empty; when senders wait, it is full. Values are
// words: a small value itself or the address of a heap slot that the sender filled, so nothing here runs user code or
// touches a goroutine's stack.
#pragma once

#include <atomic>
#include <cstdint>

#include "lock.h"
#include "stacktide/detail/entries.h"
#include "stacktide/detail/shared_core.h"
#include "wait_queue.h"

namespace stacktide::runtime {

struct Channel : detail::shared_core {
  Lock lock;
  std::uint64_t capacity = 0;
  std::uint64_t length = 0;
  std::uint64_t head = 0;
  std::uint64_t* ring = nullptr;
  WaitQueue receivers;
  WaitQueue senders;
  bool closed = false;
};

// Both under the channel's lock. False: it would have to wait. Sending on a closed channel ends the program.
bool send_now(Channel& c, std::uint64_t value);
// The value and 1; (0, 0): closed and empty.
bool receive_now(Channel& c, detail::two_words& out);
// "panic: send on closed channel"
[[noreturn]] void fatal_send_on_closed();

}  // namespace stacktide::runtime
