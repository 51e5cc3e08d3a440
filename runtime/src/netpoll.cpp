#include "netpoll.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstddef>
#include <mutex>
#include <new>

#include "fatal.h"
#include "handoff.h"
#include "scheduler.h"
#include "solo.h"
#include "stacktide/net.h"
#include "timers.h"
#include "worker.h"

namespace stacktide::runtime {
namespace {

enum Direction : std::uint32_t { to_read, to_write };

// Records come in blocks, which are found through a table that is as large as any descriptor is likely to be.
constexpr std::size_t kBlock = 256;
constexpr std::size_t kBlocks = 65536;
constinit std::atomic<PollDescriptor*> blocks[kBlocks] = {};

constinit Lock start_lock;  // leaf; also guards the making of blocks
constinit std::atomic<int> epoll = -1;

constinit int interrupt = -1;                 // an eventfd, readable when the M that watches is woken
constinit std::atomic<bool> watched = false;  // an M sleeps in epoll_wait(), or is about to
constexpr std::uint64_t kInterrupt = ~std::uint64_t{0};

constexpr int kBatch = 64;  // reports that one call takes

PollDescriptor* find(std::int64_t fd) {
  if (fd < 0 || fd >= static_cast<std::int64_t>(kBlock * kBlocks)) return nullptr;
  const auto number = static_cast<std::size_t>(fd);
  PollDescriptor* block = blocks[number / kBlock].load(std::memory_order_acquire);
  return block == nullptr ? nullptr : &block[number % kBlock];
}

// nullptr: no memory, or a descriptor beyond the table.
PollDescriptor* find_or_make(std::int64_t fd) {
  if (PollDescriptor* d = find(fd)) return d;
  if (fd < 0 || fd >= static_cast<std::int64_t>(kBlock * kBlocks)) return nullptr;
  const auto first = static_cast<std::size_t>(fd) / kBlock * kBlock;
  std::lock_guard guard(start_lock);
  if (PollDescriptor* d = find(fd)) return d;
  auto* block = new (std::nothrow) PollDescriptor[kBlock];
  if (block == nullptr) return nullptr;
  for (std::size_t i = 0; i < kBlock; ++i) block[i].fd = static_cast<std::int32_t>(first + i);
  blocks[first / kBlock].store(block, std::memory_order_release);
  return find(fd);
}

// Both are ours alone. To go on would be to wait for ever, or to ask again and again.
[[noreturn]] void own_descriptor_lost() {
  fatal("net: the program closed a file descriptor of the runtime (close no others than your own)");
}

// If poll(2) itself fails, it is for epoll to say.
wait_status look(int fd, std::uint32_t direction) {
  pollfd now{.fd = fd, .events = static_cast<short>(direction == to_read ? POLLIN | POLLRDHUP : POLLOUT), .revents = 0};
  if (::poll(&now, 1, 0) <= 0) return wait_status::timed_out;
  return (now.revents & POLLNVAL) != 0 ? wait_status::closed : wait_status::ready;
}

// Under d's lock: whoever waits there is reported, once. 0, or the error number: then an earlier arming still holds.
int arm(PollDescriptor& d) {
  const bool reads = d.slots[to_read].waits();
  const bool writes = d.slots[to_write].waits();
  if (!reads && !writes) return 0;
  epoll_event event{};
  event.events = EPOLLONESHOT;
  if (reads) event.events |= EPOLLIN | EPOLLRDHUP;
  if (writes) event.events |= EPOLLOUT;
  event.data.u64 = std::uint64_t{d.arming + 1} << 32 | static_cast<std::uint32_t>(d.fd);
  const auto control = [&](int operation) { return epoll_ctl(epoll.load(), operation, d.fd, &event) == 0; };
  // What we know may be out of date in either way, and change between the two calls.
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (control(d.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD)) {
      d.registered = true;
      ++d.arming;
      return 0;
    }
    if (errno != (d.registered ? ENOENT : EEXIST)) break;
    d.registered = !d.registered;
  }
  if (errno == EBADF && fcntl(epoll.load(), F_GETFD) < 0) own_descriptor_lost();
  return errno;
}

// How a wait ends that cannot be armed: its goroutine's errno says why.
wait_status refusal(Goroutine& g, int error) {
  if (error == EBADF) return wait_status::closed;
  g.error_number = error;
  return wait_status::failed;
}

// Under the lock of the slot's record: who waits there, to be woken; nullptr: nobody.
Goroutine* take_waiter(PollSlot& slot) {
  Goroutine* g = slot.goroutine;
  slot.goroutine = nullptr;
  // Pairs with the exchange in timers.cpp.
  if (g == nullptr || slot.decided.exchange(true, std::memory_order_acq_rel)) return nullptr;
  // The goroutine is still parked: its timer is its own until ready().
  if (slot.timed) {
    cancel_timer(g->own->timer);
  } else {
    scheduler.io_waiters.fetch_sub(1, std::memory_order_seq_cst);
  }
  return g;
}

// False: nobody waits there.
bool wake_slot(PollSlot& slot, wait_status status) {
  Goroutine* g = take_waiter(slot);
  if (g != nullptr) ready(g, static_cast<std::uint64_t>(status), 1);
  return g != nullptr;
}

bool handle(const epoll_event& event) {
  if (event.data.u64 == kInterrupt) return false;
  PollDescriptor& d = *find(static_cast<std::uint32_t>(event.data.u64));
  std::lock_guard guard(d.lock);
  if (d.arming != event.data.u64 >> 32) return false;
  constexpr std::uint32_t kBoth = EPOLLERR | EPOLLHUP;
  bool any = false;
  if ((event.events & (EPOLLIN | EPOLLRDHUP | kBoth)) != 0) any = wake_slot(d.slots[to_read], wait_status::ready) || any;
  if ((event.events & (EPOLLOUT | kBoth)) != 0) any = wake_slot(d.slots[to_write], wait_status::ready) || any;
  // The report was the only one for both.
  if (const int error = arm(d); error != 0) {
    for (PollSlot& slot : d.slots) {
      Goroutine* g = take_waiter(slot);
      if (g == nullptr) continue;
      ready(g, static_cast<std::uint64_t>(refusal(*g, error)), 1);
      any = true;
    }
  }
  return any;
}

// 0, or the error number; the next wait tries again.
int start_epoll() {
  if (epoll.load(std::memory_order_acquire) >= 0) return 0;
  std::lock_guard guard(start_lock);
  if (epoll.load(std::memory_order_relaxed) >= 0) return 0;
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return errno;
  interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  // Reported for as long as it is not read, to whoever asks.
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kInterrupt}};
  if (interrupt >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, interrupt, &event) == 0) {
    epoll.store(fd, std::memory_order_release);
    return 0;
  }
  const int error = errno;
  if (interrupt >= 0) close(interrupt);
  close(fd);
  return error;
}

int take_reports(int fd, epoll_event* events, int timeout) {
  const int n = epoll_wait(fd, events, kBatch, timeout);
  if (n < 0 && errno != EINTR) own_descriptor_lost();
  return n;
}

}  // namespace

bool poll_network() {
  const int fd = epoll.load(std::memory_order_acquire);
  if (fd < 0) return false;
  epoll_event events[kBatch];
  const int n = take_reports(fd, events, 0);
  if (n <= 0) return false;
  const Solo::Visit visit;
  bool any = false;
  for (int i = 0; i < n; ++i) any = handle(events[i]) || any;
  return any;
}

bool network_unwatched() { return epoll.load(std::memory_order_relaxed) >= 0 && !watched.load(std::memory_order_seq_cst); }

bool watch_network(M& m) {
  const int fd = epoll.load(std::memory_order_acquire);
  if (fd < 0 || watched.exchange(true, std::memory_order_seq_cst)) return false;
  epoll_event events[kBatch];
  int n = 0;
  const std::uint8_t status = m.status.load(std::memory_order_relaxed);
  m.status.store(m_status_watching, std::memory_order_relaxed);
  m.watching.store(true, std::memory_order_seq_cst);
  if (m.wakeup.load(std::memory_order_seq_cst) == 0) n = take_reports(fd, events, -1);
  m.watching.store(false, std::memory_order_relaxed);
  m.status.store(status, std::memory_order_relaxed);
  int reports = 0;
  for (int i = 0; i < n; ++i) {
    std::uint64_t count = 0;
    // It may have been read already.
    if (events[i].data.u64 != kInterrupt || read(interrupt, &count, sizeof count) < 0) ++reports;
  }
  watched.store(false, std::memory_order_seq_cst);
  if (reports == 0) return true;
  scheduler.wakers.fetch_add(1, std::memory_order_seq_cst);
  wake_self(m);
  {
    const Solo::Visit visit;
    for (int i = 0; i < n; ++i) handle(events[i]);
  }
  done_waking();
  return true;
}

void interrupt_watch() {
  const std::uint64_t one = 1;
  // EAGAIN: it is readable anyway.
  if (write(interrupt, &one, sizeof one) < 0 && errno != EAGAIN) own_descriptor_lost();
}

extern "C" {

std::uint64_t stacktide_net_wait_impl(std::int64_t fd, std::uint64_t direction, std::int64_t deadline) {
  const auto answer = [](wait_status status) { return static_cast<std::uint64_t>(status); };
  Goroutine* g = parking_goroutine(direction == to_read ? "wait_readable()" : "wait_writable()");
  if (fd < 0) return answer(wait_status::closed);
  PollDescriptor* d = find_or_make(fd);
  if (d == nullptr) {
    const bool open = look(static_cast<int>(fd), static_cast<std::uint32_t>(direction)) != wait_status::closed;
    return answer(refusal(*g, open ? ENOMEM : EBADF));
  }
  std::lock_guard guard(d->lock);
  PollSlot& slot = d->slots[direction];
  if (slot.waits()) panic("net: another goroutine waits for the same file descriptor already");
  const auto now = look(d->fd, static_cast<std::uint32_t>(direction));
  if (now != wait_status::timed_out || deadline <= clock_now()) return answer(now);
  if (const int error = start_epoll(); error != 0) return answer(refusal(*g, error));
  slot.goroutine = g;
  slot.decided.store(false, std::memory_order_relaxed);
  slot.timed = deadline != INT64_MAX;
  if (const int error = arm(*d); error != 0) {
    slot.goroutine = nullptr;
    return answer(refusal(*g, error));
  }
  begin_park(g, status_waiting, wait_reason_io, d);
  if (slot.timed) {
    // Its time may come at once, but for this record's lock nobody needs g to be done here.
    g->own->timer = {.goroutine = g, .outcome = 0, .decided = &slot.decided, .place = 0};
    add_timer(g->own->timer, deadline);
  } else {
    scheduler.io_waiters.fetch_add(1, std::memory_order_seq_cst);
  }
  return 0;
}

std::uint64_t stacktide_net_close_impl(std::int64_t fd) {
  PollDescriptor* d = find(fd);
  if (d == nullptr) return close(static_cast<int>(fd)) == 0 ? 0 : static_cast<std::uint64_t>(errno);
  const bool without_p = own_p() == nullptr;
  if (without_p) scheduler.wakers.fetch_add(1, std::memory_order_seq_cst);
  std::uint64_t problem = 0;
  {
    std::lock_guard guard(d->lock);
    // A copy of the descriptor (dup, fork) would keep the file in the set.
    if (d->registered) epoll_ctl(epoll.load(), EPOLL_CTL_DEL, d->fd, nullptr);
    d->registered = false;
    ++d->arming;
    if (close(d->fd) != 0) problem = static_cast<std::uint64_t>(errno);
    for (PollSlot& slot : d->slots) wake_slot(slot, wait_status::closed);
  }
  if (without_p) done_waking();
  return problem;
}

}  // extern "C"

}  // namespace stacktide::runtime
