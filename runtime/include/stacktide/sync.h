// wait_group: wait for a number of goroutines to finish. A handle: copy it, never capture it by reference.
#pragma once

#include <cstdint>
#include <utility>

#include "stacktide/detail/entries.h"

namespace stacktide {

class wait_group {
 public:
  wait_group() : core_(detail::stacktide_wait_group_make()) {}
  wait_group(const wait_group& other) : core_(other.core_) { detail::stacktide_wait_group_retain(core_); }
  wait_group& operator=(const wait_group& other) {
    wait_group copy(other);
    std::swap(core_, copy.core_);
    return *this;
  }
  ~wait_group() { detail::stacktide_wait_group_release(core_); }

  // Adds n to the counter. Below zero the program ends ("sync: negative WaitGroup counter").
  void add(std::int64_t n) { detail::stacktide_wait_group_add(core_, n); }
  void done() { add(-1); }
  // Waits until the counter is zero.
  void wait() { detail::stacktide_wait_group_wait(core_); }

 private:
  void* core_;
};

}  // namespace stacktide
