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
    if (held_.load(std::memory_order_relaxed) == 0 && try_lock()) return;
    asm volatile("pause");
  }
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  if (has_process_barrier()) process_barrier();
  while (!try_lock()) futex(held_, FUTEX_WAIT_PRIVATE, 1);
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void Lock::wake() { futex(held_, FUTEX_WAKE_PRIVATE, 1); }

}  // namespace stacktide::runtime
