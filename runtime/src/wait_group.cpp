// Wait groups: the core behind the handle of sync.h. A counter under a lock; who brings it to zero wakes all who wait.
#include <mutex>
#include <new>

#include "fatal.h"
#include "scheduler.h"
#include "sync_cores.h"

namespace stacktide::runtime {

extern "C" {

detail::shared_core* stacktide_wait_group_make_impl() {
  auto* group = new (std::nothrow) WaitGroup;
  if (group == nullptr) fatal("out of memory for a wait group");
  return group;
}

void stacktide_wait_group_free_impl(detail::shared_core* core) { delete static_cast<WaitGroup*>(core); }

void stacktide_wait_group_add_impl(detail::shared_core* core, std::int64_t n) {
  WaitGroup& group = *static_cast<WaitGroup*>(core);
  std::lock_guard guard(group.lock);
  if (__builtin_add_overflow(group.count, n, &group.count) || group.count < 0) panic("sync: negative WaitGroup counter");
  if (group.count != 0) return;
  while (Waiter* waiter = group.waiters.take()) wake(*waiter, 0, true);
}

void stacktide_wait_group_wait_impl(detail::shared_core* core) {
  WaitGroup& group = *static_cast<WaitGroup*>(core);
  std::lock_guard guard(group.lock);
  if (group.count == 0) return;
  Goroutine* g = parking_goroutine("wait_group::wait()");
  begin_park(g, status_waiting, wait_reason_wait_group, core);
  group.waiters.put(plain_waiter(*g));
}

}  // extern "C"

}  // namespace stacktide::runtime
