// Wait groups: the core behind the handle of sync.h. A counter under a lock; who brings it to zero wakes all who wait.
#include <mutex>
#include <new>

#include "fatal.h"
#include "scheduler.h"
#include "sync_cores.h"

namespace stacktide::runtime {

extern "C" {

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
  if (__builtin_add_overflow(group.count, n, &group.count) || group.count < 0) panic("sync: negative WaitGroup counter");
  if (group.count != 0) return;
  while (Waiter* waiter = group.waiters.take()) wake(*waiter, 0, true);
}

void stacktide_wait_group_wait_impl(void* handle) {
  WaitGroup& group = *static_cast<WaitGroup*>(handle);
  std::lock_guard guard(group.lock);
  if (group.count == 0) return;
  Goroutine* g = parking_goroutine("wait_group::wait()");
  begin_park(g, status_waiting, wait_reason_wait_group, handle);
  group.waiters.put(plain_waiter(*g));
}

}  // extern "C"

}  // namespace stacktide::runtime
