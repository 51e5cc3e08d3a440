// Channels: the core behind the handle of channel.h. A receiver that waits is handed its value directly, and so is the
// ring's free place to a sender that waits. See channel_core.h for the invariants.
#include "channel_core.h"

#include <cstdlib>
#include <mutex>
#include <new>

#include "fatal.h"
#include "scheduler.h"

namespace stacktide::runtime {
namespace {

using Two = detail::two_words;

// A place in the ring, which is less than twice the capacity: a division takes longer than all the rest.
std::uint64_t in_ring(const Channel& c, std::uint64_t place) { return place < c.capacity ? place : place - c.capacity; }

void put_in_ring(Channel& c, std::uint64_t value) { c.ring[in_ring(c, c.head + c.length++)] = value; }

void park_forever(const char* what, std::uint8_t reason) {
  begin_park(parking_goroutine(what), status_waiting, reason, nullptr);
}

}  // namespace

bool send_now(Channel& c, std::uint64_t value) {
  if (c.closed) fatal_send_on_closed();
  if (Waiter* receiver = c.receivers.take()) {
    wake(*receiver, value, true);
    return true;
  }
  if (c.length == c.capacity) return false;
  put_in_ring(c, value);
  return true;
}

bool receive_now(Channel& c, Two& out) {
  if (c.length != 0) {
    out = {c.ring[c.head], 1};
    c.head = in_ring(c, c.head + 1);
    --c.length;
    if (Waiter* sender = c.senders.take()) {
      put_in_ring(c, sender->value);
      wake(*sender, 1, true);
    }
    return true;
  }
  if (Waiter* sender = c.senders.take()) {
    out = {sender->value, 1};
    wake(*sender, 1, true);
    return true;
  }
  if (!c.closed) return false;
  out = {0, 0};
  return true;
}

void fatal_send_on_closed() { panic("send on closed channel"); }

extern "C" {

void* stacktide_chan_make_impl(std::uint64_t capacity) {
  if (capacity > std::uint64_t{1} << 32) panic("makechan: size out of range");
  auto* c = new (std::nothrow) Channel;
  if (c == nullptr) fatal("out of memory for a channel");
  c->capacity = capacity;
  if (capacity != 0) {
    c->ring = static_cast<std::uint64_t*>(std::calloc(capacity, sizeof(std::uint64_t)));
    if (c->ring == nullptr) fatal("out of memory for a channel");
  }
  return c;
}

// The last handle has gone, and has taken out what was left.
void stacktide_chan_free_impl(void* channel) {
  auto* c = static_cast<Channel*>(channel);
  std::free(c->ring);
  delete c;
}

// 0: the channel was closed while the goroutine waited; the caller says so by stacktide_chan_send_closed, from its own
// goroutine.
std::uint64_t stacktide_chan_send_impl(void* channel, std::uint64_t value) {
  if (channel == nullptr) {
    park_forever("channel::send()", wait_reason_chan_send_nil);
    return 0;
  }
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  if (send_now(c, value)) return 1;
  Goroutine* g = parking_goroutine("channel::send()");
  begin_park(g, status_waiting, wait_reason_chan_send, channel);
  Waiter& waiter = plain_waiter(*g);
  waiter.value = value;
  c.senders.put(waiter);
  return 0;
}

void stacktide_chan_send_closed_impl() { fatal_send_on_closed(); }

Two stacktide_chan_recv_impl(void* channel) {
  if (channel == nullptr) {
    park_forever("channel::recv()", wait_reason_chan_receive_nil);
    return {};
  }
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  Two out{};
  if (receive_now(c, out)) return out;
  Goroutine* g = parking_goroutine("channel::recv()");
  begin_park(g, status_waiting, wait_reason_chan_receive, channel);
  c.receivers.put(plain_waiter(*g));
  return {};
}

std::uint64_t stacktide_chan_try_send_impl(void* channel, std::uint64_t value) {
  if (channel == nullptr) return 0;
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  return send_now(c, value) ? 1 : 0;
}

// 0: nothing there now; 1: a value in out[0]; 2: closed and empty. `out` lies where the caller says, on its own stack
// perhaps, which does not move meanwhile.
std::uint64_t stacktide_chan_try_recv_impl(void* channel, std::uint64_t* out) {
  if (channel == nullptr) return 0;
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  Two got{};
  if (!receive_now(c, got)) return 0;
  *out = got.first;
  return got.second != 0 ? 1 : 2;
}

// Senders that wait end the program, each in its own name, as in Go.
void stacktide_chan_close_impl(void* channel) {
  if (channel == nullptr) panic("close of nil channel");
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  if (c.closed) panic("close of closed channel");
  c.closed = true;
  while (Waiter* receiver = c.receivers.take()) wake(*receiver, 0, false);
  while (Waiter* sender = c.senders.take()) wake(*sender, 0, false);
}

std::uint64_t stacktide_chan_len_impl(void* channel) {
  if (channel == nullptr) return 0;
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  return c.length;
}

std::uint64_t stacktide_chan_waiting_impl(void* channel) {
  if (channel == nullptr) return 0;
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  return c.receivers.length + c.senders.length;
}

std::uint64_t stacktide_chan_cap_impl(void* channel) {
  return channel == nullptr ? 0 : static_cast<Channel*>(channel)->capacity;
}

}  // extern "C"

}  // namespace stacktide::runtime
