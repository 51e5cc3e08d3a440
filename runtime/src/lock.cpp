#include "lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace stacktide::runtime {
namespace {

constexpr int kLooks = 100;

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, nullptr, nullptr, 0);
}

}  // namespace

void Lock::wait() {
  for (int i = 0; i < kLooks; ++i) {
    if (word_.load(std::memory_order_relaxed) == kFree && try_lock()) return;
    asm volatile("pause");
  }
  // Whoever has slept cannot know whether others still do.
  while (word_.exchange(kAwaited, std::memory_order_acquire) != kFree) futex(word_, FUTEX_WAIT_PRIVATE, kAwaited);
}

// Of the address alone: the lock may be gone.
void Lock::wake() { futex(word_, FUTEX_WAKE_PRIVATE, 1); }

}  // namespace stacktide::runtime
