// Goroutines that wait for file descriptors.
//
// Concept. One epoll instance for the process, and for each descriptor number that was ever waited for a record that is
// never freed. It has two slots, to read and to write, for one waiter each. A wait asks poll(2) first. If the descriptor is
// not ready, the goroutine takes the slot, epoll is told to report the descriptor once (EPOLLONESHOT), and it parks.
//
// Who asks epoll. An M that finds nothing to run, before it rests; one of those that sleep, which sleeps in epoll_wait()
// instead of on its futex and is woken by an eventfd (`watching`, sleep_m()); and the monitor, once a millisecond, while no
// M sleeps there: all have something to run. The M that is reported something takes a P for it itself, if one is idle
// (wake_self()). A P that becomes idle while its M does not go to sleep (give_p(): blocking() and the like) goes through
// another M's hands, so that there is one that watches.
//
// No wake is lost. A wait is under the record's lock from the look to the parking, and arming looks at the descriptor again:
// what became ready after poll(2) said no is reported, and whoever handles the report waits for the lock until the waiter is
// parked. There is no state that says "was ready": each wait starts from what is.
//
// No wake is wrong. Each arming has a number, which comes back with the report; a report with another number is of an
// earlier arming and is dropped, for arming anew has reported the same again if it still holds. So a number that was closed
// and means another file now is harmless: epoll forgot the old file with its last descriptor, MOD says ENOENT, and ADD
// follows.
//
// Deadlines. A waiter with one is also a timer (the one in its goroutine's Private), and both share the slot's flag
// `decided`: whoever sets it ends the wait. A report that wins cancels the timer. A timer that wins leaves the slot as it
// is: a decided waiter counts as none, and nothing looks at that goroutine any more.
//
// A waiter without a deadline counts in scheduler.io_waiters, one with it in scheduler.timers: no deadlock while there is
// one.
//
// Rejected. Go's protocol, registered once, edge-triggered, with a state "was ready" in each slot: it is sound because Go's
// own read() empties the descriptor before it waits. Ours is anybody's read(): who waits with bytes left would wait for
// ever. It also wakes a thread for each packet of a descriptor for which nobody waits, and relies on a hook in close(). Its
// advantage is a system call less for each wait that parks. A thread of its own in epoll_wait(): simpler, but the kernel
// wakes it for each report, also when an M that is awake could have taken it: two goroutines that talk over a socket took up
// to twice as long.
#pragma once

#include <atomic>
#include <cstdint>

#include "lock.h"

namespace stacktide::runtime {

struct Goroutine;
struct M;

// Guarded by the record's lock, but for `decided`, which timers set too.
struct PollSlot {
  Goroutine* goroutine = nullptr;
  std::atomic<bool> decided = false;
  bool timed = false;

  bool waits() const { return goroutine != nullptr && !decided.load(std::memory_order_acquire); }
};

struct PollDescriptor {
  Lock lock;  // before the scheduler's lock and the timers'
  std::int32_t fd = -1;
  std::uint32_t arming = 0;  // number of the last one
  bool registered = false;   // as far as we know: close() may have come
  PollSlot slots[2];         // to read, to write
};

// Makes ready whose descriptors are ready now. By an M with a P, or it may be taken for a deadlock. True: somebody was.
bool poll_network();
// On m's own thread, which has no P and nothing to do until somebody sets m.wakeup: sleeps in epoll_wait() and makes ready
// who is reported. False: another M does so, or there is no network. True: look at wakeup.
bool watch_network(M& m);
// Wakes the M that is `watching`.
void interrupt_watch();
// Descriptors are waited for, and no M sleeps in epoll_wait().
bool network_unwatched();

}  // namespace stacktide::runtime
