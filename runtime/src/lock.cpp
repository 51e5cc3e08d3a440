#include "lock.h"

#include "futex.h"

namespace stacktide::runtime {
namespace {

constexpr int kLooks = 100;

}  // namespace

void Lock::wait() {
  for (int i = 0; i < kLooks; ++i) {
    if (word_.load(std::memory_order_relaxed) == kFree && try_lock()) return;
    asm volatile("pause");
  }
  // Whoever has slept cannot know whether others still do.
  while (word_.exchange(kAwaited, std::memory_order_acquire) != kFree) futex(word_, FUTEX_WAIT, kAwaited);
}

// Of the address alone: the lock may be gone.
void Lock::wake() { futex(word_, FUTEX_WAKE, 1); }

}  // namespace stacktide::runtime
