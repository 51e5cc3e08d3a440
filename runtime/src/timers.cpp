#include "timers.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "monitor.h"
#include "scheduler.h"

namespace stacktide::runtime {
namespace {

struct Sleeper {
  std::int64_t when;
  std::uint64_t order;  // first come, first served among equals
  Goroutine* g;
  bool operator<(const Sleeper& other) const { return when != other.when ? when > other.when : order > other.order; }
};

// Lives as long as the process: threads may still use it while main returns.
struct Timers {
  std::mutex lock;  // leaf
  std::vector<Sleeper> sleepers;  // a heap, earliest first
  std::uint64_t order = 0;
};

Timers& timers() {
  static Timers* const instance = new Timers;
  return *instance;
}

}  // namespace

void wake_at(Goroutine* g, std::int64_t when) {
  Timers& self = timers();
  bool earliest = false;
  {
    std::lock_guard guard(self.lock);
    scheduler.timers.fetch_add(1, std::memory_order_seq_cst);
    earliest = self.sleepers.empty() || when < self.sleepers.front().when;
    self.sleepers.push_back({when, self.order++, g});
    std::push_heap(self.sleepers.begin(), self.sleepers.end());
  }
  if (earliest) wake_monitor();
}

std::int64_t next_timer() {
  Timers& self = timers();
  std::lock_guard guard(self.lock);
  return self.sleepers.empty() ? 0 : self.sleepers.front().when;
}

bool run_timers(std::int64_t now) {
  Timers& self = timers();
  bool any = false;
  for (;;) {
    Goroutine* g = nullptr;
    {
      std::lock_guard guard(self.lock);
      if (self.sleepers.empty() || self.sleepers.front().when > now) return any;
      std::pop_heap(self.sleepers.begin(), self.sleepers.end());
      g = self.sleepers.back().g;
      self.sleepers.pop_back();
    }
    any = true;
    // Until it is ready, silence is no deadlock.
    scheduler.wakers.fetch_add(1, std::memory_order_seq_cst);
    scheduler.timers.fetch_sub(1, std::memory_order_seq_cst);
    ready(g, 0, 0);
    scheduler.wakers.fetch_sub(1, std::memory_order_seq_cst);
    check_deadlock();
  }
}

}  // namespace stacktide::runtime
