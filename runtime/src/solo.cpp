#include "solo.h"

#include <sched.h>

namespace stacktide::runtime {

constinit Solo::State Solo::state{};

void Solo::turn_on() { state.on = single_p && has_process_barrier(); }

void Solo::come() {
  if (stacktide_thread.outside++ != 0) return;
  state.others.fetch_add(1, std::memory_order_seq_cst);
  process_barrier();
  // Its thread may have lost the processor.
  for (int looks = 0; state.inside.load(std::memory_order_acquire) != 0; ++looks) {
    if (looks < 100) asm volatile("pause");
    else sched_yield();
  }
}

void Solo::go() {
  if (--stacktide_thread.outside == 0) state.others.fetch_sub(1, std::memory_order_release);
}

}  // namespace stacktide::runtime
