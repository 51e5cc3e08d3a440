#include "wait_queue.h"

#include "scheduler.h"

namespace stacktide::runtime {

Waiter& plain_waiter(Goroutine& g) {
  Waiter& w = g.own->waiter;
  w = {.goroutine = &g, .value = 0, .outcome = 0, .decided = nullptr, .previous = nullptr, .next = nullptr, .queued = false};
  return w;
}

void wake(Waiter& w, std::uint64_t value, bool ok) { ready(w.goroutine, value, w.outcome | (ok ? 1 : 0)); }

}  // namespace stacktide::runtime
