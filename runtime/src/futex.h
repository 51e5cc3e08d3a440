// futex(2) on a word of this process alone.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace stacktide::runtime {

// FUTEX_WAIT: sleeps if the word has this value still, not longer than `limit`, if there is one; FUTEX_WAKE: wakes as many at
// most. As syscall(2) answers, with errno.
inline long futex(const std::atomic<std::uint32_t>& word, int operation, std::uint32_t value,
                  const timespec* limit = nullptr) {
  return syscall(SYS_futex, reinterpret_cast<const std::uint32_t*>(&word), operation | FUTEX_PRIVATE_FLAG, value, limit,
                 nullptr, 0);
}

}  // namespace stacktide::runtime
