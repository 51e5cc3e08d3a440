// Channels and wait groups: the cores behind the handles of channel.h and sync.h.
//
// Invariants of a channel: at most one of receivers and senders is not empty; when receivers wait, the ring is empty; when senders wait,
// it is full. Values are words: a small value itself or the address of a heap slot that the sender filled, so nothing here runs user
// code or touches a goroutine's stack. A waiting goroutine links through its own record (Goroutine::next), its value in `result`.
#include <cstdlib>
#include <mutex>
#include <new>

#include "fatal.h"
#include "scheduler.h"
#include "stacktide/detail/entries.h"

namespace stacktide::runtime {
namespace {

// First in, first out, linked through Goroutine::next.
struct WaitQueue {
  Goroutine* first = nullptr;
  Goroutine* last = nullptr;

  std::uint64_t length = 0;

  void put(Goroutine* g) {
    ++length;
    g->next = nullptr;
    if (last == nullptr) {
      first = g;
    } else {
      last->next = g;
    }
    last = g;
  }
  Goroutine* take() {
    Goroutine* g = first;
    if (g == nullptr) return nullptr;
    first = g->next;
    if (first == nullptr) last = nullptr;
    g->next = nullptr;
    --length;
    return g;
  }
};

struct Channel {
  std::mutex lock;
  std::uint64_t capacity = 0;
  std::uint64_t length = 0;
  std::uint64_t head = 0;
  std::uint64_t* ring = nullptr;
  WaitQueue receivers;
  WaitQueue senders;
  bool closed = false;
  std::atomic<std::uint64_t> references = 1;
};

struct WaitGroup {
  std::mutex lock;
  std::int64_t count = 0;
  WaitQueue waiters;
  std::atomic<std::uint64_t> references = 1;
};

using Two = detail::two_words;

// Under the channel's lock. False: it would have to wait.
bool send_now(Channel& c, std::uint64_t value) {
  if (c.closed) fatal("send on closed channel");
  if (Goroutine* receiver = c.receivers.take()) {
    ready(receiver, value, 1);
    return true;
  }
  if (c.length == c.capacity) return false;
  c.ring[(c.head + c.length++) % c.capacity] = value;
  return true;
}

// Under the channel's lock. False: it would have to wait.
bool receive_now(Channel& c, Two& out) {
  if (c.length != 0) {
    out = {c.ring[c.head], 1};
    c.head = (c.head + 1) % c.capacity;
    --c.length;
    if (Goroutine* sender = c.senders.take()) {
      c.ring[(c.head + c.length++) % c.capacity] = sender->result;
      ready(sender, 0, 1);
    }
    return true;
  }
  if (Goroutine* sender = c.senders.take()) {
    out = {sender->result, 1};
    ready(sender, 0, 1);
    return true;
  }
  if (!c.closed) return false;
  out = {0, 0};
  return true;
}

Goroutine* park_forever(const char* what, std::uint8_t reason) {
  Goroutine* g = parking_goroutine(what);
  begin_park(g, status_waiting, reason, nullptr);
  return g;
}

}  // namespace

extern "C" {

void* stacktide_chan_make_impl(std::uint64_t capacity) {
  if (capacity > std::uint64_t{1} << 32) fatal("make(channel): size out of range");
  auto* c = new (std::nothrow) Channel;
  if (c == nullptr) fatal("out of memory for a channel");
  c->capacity = capacity;
  if (capacity != 0) {
    c->ring = static_cast<std::uint64_t*>(std::calloc(capacity, sizeof(std::uint64_t)));
    if (c->ring == nullptr) fatal("out of memory for a channel");
  }
  return c;
}

void stacktide_chan_retain_impl(void* channel) { static_cast<Channel*>(channel)->references.fetch_add(1, std::memory_order_relaxed); }

// 1: it was the last; the caller takes out what is left and then frees.
std::uint64_t stacktide_chan_release_impl(void* channel) {
  return static_cast<Channel*>(channel)->references.fetch_sub(1, std::memory_order_acq_rel) == 1 ? 1 : 0;
}

void stacktide_chan_free_impl(void* channel) {
  auto* c = static_cast<Channel*>(channel);
  std::free(c->ring);
  delete c;
}

void stacktide_chan_send_impl(void* channel, std::uint64_t value) {
  if (channel == nullptr) {
    park_forever("send on a nil channel", wait_reason_chan_send_nil);
    return;
  }
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  if (send_now(c, value)) return;
  Goroutine* g = parking_goroutine("channel::send()");
  begin_park(g, status_waiting, wait_reason_chan_send, channel);
  g->result = value;
  c.senders.put(g);
}

Two stacktide_chan_recv_impl(void* channel) {
  if (channel == nullptr) {
    park_forever("receive from a nil channel", wait_reason_chan_receive_nil);
    return {};
  }
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  Two out{};
  if (receive_now(c, out)) return out;
  Goroutine* g = parking_goroutine("channel::recv()");
  begin_park(g, status_waiting, wait_reason_chan_receive, channel);
  c.receivers.put(g);
  return {};
}

std::uint64_t stacktide_chan_try_send_impl(void* channel, std::uint64_t value) {
  if (channel == nullptr) return 0;
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  return send_now(c, value) ? 1 : 0;
}

// 0: nothing there now; 1: a value in out[0]; 2: closed and empty. `out` lies where the caller says, on its own stack perhaps,
// which does not move meanwhile.
std::uint64_t stacktide_chan_try_recv_impl(void* channel, std::uint64_t* out) {
  if (channel == nullptr) return 0;
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  Two got{};
  if (!receive_now(c, got)) return 0;
  *out = got.first;
  return got.second != 0 ? 1 : 2;
}

void stacktide_chan_close_impl(void* channel) {
  if (channel == nullptr) fatal("close of nil channel");
  Channel& c = *static_cast<Channel*>(channel);
  std::lock_guard guard(c.lock);
  if (c.closed) fatal("close of closed channel");
  if (c.senders.first != nullptr) fatal("send on closed channel");
  c.closed = true;
  while (Goroutine* g = c.receivers.take()) ready(g, 0, 0);
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

std::uint64_t stacktide_chan_cap_impl(void* channel) { return channel == nullptr ? 0 : static_cast<Channel*>(channel)->capacity; }

void* stacktide_wait_group_make_impl() {
  auto* group = new (std::nothrow) WaitGroup;
  if (group == nullptr) fatal("out of memory for a wait group");
  return group;
}

void stacktide_wait_group_retain_impl(void* group) {
  static_cast<WaitGroup*>(group)->references.fetch_add(1, std::memory_order_relaxed);
}

void stacktide_wait_group_release_impl(void* handle) {
  auto* group = static_cast<WaitGroup*>(handle);
  if (group->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete group;
}

void stacktide_wait_group_add_impl(void* handle, std::int64_t n) {
  WaitGroup& group = *static_cast<WaitGroup*>(handle);
  std::lock_guard guard(group.lock);
  group.count += n;
  if (group.count < 0) fatal("sync: negative WaitGroup counter");
  if (group.count != 0) return;
  while (Goroutine* g = group.waiters.take()) ready(g, 0, 0);
}

void stacktide_wait_group_wait_impl(void* handle) {
  WaitGroup& group = *static_cast<WaitGroup*>(handle);
  std::lock_guard guard(group.lock);
  if (group.count == 0) return;
  Goroutine* g = parking_goroutine("wait_group::wait()");
  begin_park(g, status_waiting, wait_reason_wait_group, handle);
  group.waiters.put(g);
}

}  // extern "C"

}  // namespace stacktide::runtime
