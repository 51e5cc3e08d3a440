#include "monitor.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "event_clock.h"
#include "events.h"
#include "fatal.h"
#include "netpoll.h"
#include "scheduler.h"
#include "solo.h"
#include "spans.h"
#include "stack_growth.h"
#include "timers.h"
#include "watch.h"

namespace stacktide::runtime {
namespace {

// Between two looks at the Ps.
constexpr std::int64_t kShortest = 20'000;
constexpr std::int64_t kLongest = 10'000'000;
constexpr int kPatience = 50;  // looks in vain before they become fewer
// A growth is followed by a look at all parked stacks after this long, empty spans by one at them.
constexpr std::int64_t kTrimPeriod = 1'000'000'000;
// A live trace hears of events at the latest after this, however few there are.
constexpr std::int64_t kAnnouncePeriod = 100'000'000;
// While all Ms have something to run, descriptors are looked at after this long.
constexpr std::int64_t kNetworkPeriod = 1'000'000;

// Lives as long as the process: threads may still use it while main returns.
struct Monitor {
  std::mutex lock;  // after scheduler.lock, before the timers' lock; nothing is made ready under it
  std::condition_variable changed;
  bool woken = false;          // something changed since the last look
  std::int64_t next_trim = 0;  // when memory is looked for that can go; 0: not planned
  std::int64_t announced = 0;  // when events were last announced; this thread's own
  std::int64_t polled = 0;     // the same of descriptors
};

// The monitor waits and looks at no P.
constinit std::atomic<bool> asleep = false;
// Is a trim planned? Read without the lock on every growth.
constinit std::atomic<bool> trim_expected = false;

Monitor& monitor() {
  static Monitor* const instance = new Monitor;
  return *instance;
}

void shrink_parked() {
  const Solo::Visit visit;
  bool more = false;
  for_each_goroutine([&](Goroutine& g) {
    // Not while a traceback walks them.
    if (scheduler.stopping.load(std::memory_order_relaxed)) return;
    if (g.status.load(std::memory_order_relaxed) == status_waiting && shrink_if_idle(g, false)) more = true;
  });
  if (more) expect_shrinks();
}

void trim_memory() {
  if (scheduler.shrink != 0) shrink_parked();
  if (return_empty_spans(false)) expect_trim();
}

bool ps_run() { return scheduler.idle_ps.load(std::memory_order_seq_cst) != scheduler.max_procs; }

// True: somebody was made ready.
bool look_at_network(Monitor& self, std::int64_t now) {
  if (now - self.polled < kNetworkPeriod || !network_unwatched()) return false;
  self.polled = now;
  scheduler.wakers.fetch_add(1, std::memory_order_seq_cst);
  const bool any = poll_network();
  done_waking();
  return any;
}

// Until a timer or a shrink is due, something changes, or it is time for another look at the Ps.
void wait_for_change(Monitor& self, std::unique_lock<std::mutex>& guard, std::int64_t period) {
  std::int64_t until = next_timer();
  if (self.next_trim != 0 && (until == 0 || self.next_trim < until)) until = self.next_trim;
  // Either this thread sees the P that watch_ps() is about, or watch_ps() sees that it must wake this thread.
  asleep.store(true, std::memory_order_seq_cst);
  if (ps_run() || network_unwatched()) {
    asleep.store(false, std::memory_order_relaxed);
    const std::int64_t look = clock_now() + period;
    if (until == 0 || look < until) until = look;
  }
  // The last events before all fell asleep.
  if (until == 0 && unannounced_events()) until = self.announced + kAnnouncePeriod;
  const auto woken = [&] { return self.woken; };
  if (until == 0) {
    self.changed.wait(guard, woken);
  } else {
    // steady_clock is CLOCK_MONOTONIC here, as clock_now() is.
    self.changed.wait_until(guard, std::chrono::steady_clock::time_point(std::chrono::nanoseconds(until)), woken);
  }
  self.woken = false;
  asleep.store(false, std::memory_order_relaxed);
}

void monitor_main() {
  Monitor& self = monitor();
  std::unique_lock guard(self.lock);
  std::int64_t period = kShortest;
  for (int in_vain = 0;;) {
    const std::int64_t now = clock_now();
    scheduler.now.store(now, std::memory_order_relaxed);
    guard.unlock();
    EventClock::note();
    if (now - self.announced >= kAnnouncePeriod) {
      self.announced = now;
      announce_events();
    }
    const bool reported = look_at_network(self, now);
    if (run_timers(now) || look_at_ps(now) || reported) {
      in_vain = 0;
      period = kShortest;
    } else if (++in_vain > kPatience && period < kLongest) {
      period *= 2;
    }
    guard.lock();
    if (self.next_trim != 0 && self.next_trim <= now) {
      self.next_trim = 0;
      trim_expected.store(false, std::memory_order_relaxed);
      guard.unlock();
      // A goroutine that is made ready while its stack is being copied waits for this thread to enqueue it.
      scheduler.wakers.fetch_add(1, std::memory_order_seq_cst);
      trim_memory();
      done_waking();
      guard.lock();
      continue;
    }
    if (!ps_run()) period = kShortest, in_vain = 0;
    wait_for_change(self, guard, period);
  }
}

}  // namespace

void start_monitor() { std::thread(monitor_main).detach(); }

void wake_monitor() {
  Monitor& self = monitor();
  std::lock_guard guard(self.lock);
  self.woken = true;
  self.changed.notify_one();
}

void watch_ps() {
  if (asleep.load(std::memory_order_seq_cst)) wake_monitor();
}

void expect_shrinks() {
  if (scheduler.shrink != 0) expect_trim();
}

void expect_trim() {
  if (trim_expected.load(std::memory_order_relaxed)) return;
  Monitor& self = monitor();
  std::lock_guard guard(self.lock);
  if (self.next_trim != 0) return;
  trim_expected.store(true, std::memory_order_relaxed);
  self.next_trim = clock_now() + kTrimPeriod;
  self.woken = true;
  self.changed.notify_one();
}

}  // namespace stacktide::runtime
