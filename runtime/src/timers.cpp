#include "timers.h"

#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "monitor.h"
#include "scheduler.h"

namespace stacktide::runtime {
namespace {

struct Entry {
  std::int64_t when;
  std::uint64_t order;  // first come, first served among equals
  Timer* timer;
  bool before(const Entry& other) const { return when != other.when ? when < other.when : order < other.order; }
};

// Binary, earliest first. Entry i is due no later than entries 2i + 1 and 2i + 2, and its timer's place is i + 1.
class Heap {
 public:
  bool empty() const { return entries_.empty(); }
  const Entry& first() const { return entries_.front(); }

  void add(const Entry& entry) {
    entries_.push_back(entry);
    place(entries_.size() - 1, entry);
    up(entries_.size() - 1);
  }
  void remove(Timer& timer) {
    const std::size_t i = timer.place - 1;
    timer.place = 0;
    const Entry last = entries_.back();
    entries_.pop_back();
    if (i == entries_.size()) return;
    place(i, last);
    up(i);
    down(last.timer->place - 1);
  }

 private:
  void place(std::size_t i, const Entry& entry) {
    entries_[i] = entry;
    entry.timer->place = i + 1;
  }
  void exchange(std::size_t i, std::size_t j) {
    const Entry entry = entries_[i];
    place(i, entries_[j]);
    place(j, entry);
  }
  void up(std::size_t i) {
    for (; i != 0 && entries_[i].before(entries_[(i - 1) / 2]); i = (i - 1) / 2) exchange(i, (i - 1) / 2);
  }
  void down(std::size_t i) {
    for (;;) {
      std::size_t least = i;
      for (const std::size_t child : {2 * i + 1, 2 * i + 2}) {
        if (child < entries_.size() && entries_[child].before(entries_[least])) least = child;
      }
      if (least == i) return;
      exchange(i, least);
      i = least;
    }
  }

  std::vector<Entry> entries_;
};

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// Lives as long as the process: threads may still use it while main returns.
struct Timers {
  std::mutex lock;  // leaf
  Heap heap;
  std::uint64_t order = 0;
  std::int64_t awake_by = 0;  // when the monitor looks again at the latest; it need not be woken for what is due after that
};

Timers& timers() {
  static Timers* const instance = new Timers;
  return *instance;
}

// Under the lock, of a timer that was taken out: does it end its goroutine's wait? If not, the goroutine may free it from
// now on.
bool decides(Timer& timer) { return timer.decided == nullptr || !timer.decided->exchange(true, std::memory_order_acq_rel); }

}  // namespace

void add_timer(Timer& timer, std::int64_t when) {
  Timers& self = timers();
  bool wake = false;
  {
    std::lock_guard guard(self.lock);
    scheduler.timers.fetch_add(1, std::memory_order_seq_cst);
    self.heap.add({when, self.order++, &timer});
    wake = when < self.awake_by;
    if (wake) self.awake_by = when;
  }
  if (wake) wake_monitor();
}

void cancel_timer(Timer& timer) {
  Timers& self = timers();
  std::lock_guard guard(self.lock);
  if (timer.place == 0) return;
  self.heap.remove(timer);
  scheduler.timers.fetch_sub(1, std::memory_order_seq_cst);
}

void wake_at(Goroutine* g, std::int64_t when) {
  g->own->timer = {.goroutine = g, .outcome = 0, .decided = nullptr, .place = 0};
  add_timer(g->own->timer, when);
}

std::int64_t next_timer() {
  Timers& self = timers();
  std::lock_guard guard(self.lock);
  self.awake_by = self.heap.empty() ? kNever : self.heap.first().when;
  return self.heap.empty() ? 0 : self.heap.first().when;
}

bool run_timers(std::int64_t now) {
  Timers& self = timers();
  bool any = false;
  for (;;) {
    Goroutine* g = nullptr;
    std::uint64_t outcome = 0;
    {
      std::lock_guard guard(self.lock);
      if (self.heap.empty() || self.heap.first().when > now) return any;
      Timer& timer = *self.heap.first().timer;
      self.heap.remove(timer);
      if (decides(timer)) {
        g = timer.goroutine;
        outcome = timer.outcome;
        // Until it is ready, silence is no deadlock.
        scheduler.wakers.fetch_add(1, std::memory_order_seq_cst);
      }
      // Before the lock is released: what a select's goroutine finds in cancel_timer() must be counted, since nobody looks
      // again for it.
      scheduler.timers.fetch_sub(1, std::memory_order_seq_cst);
    }
    if (g == nullptr) continue;
    any = true;
    ready(g, 0, outcome);
    done_waking();
  }
}

}  // namespace stacktide::runtime
