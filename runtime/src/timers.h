// Timers: goroutines that are made ready at a time.
//
// A heap under a lock of its own; the monitor thread waits for the earliest. Its lock is a leaf: what is due is taken out under it and made ready
// without it.
#pragma once

#include <cstdint>

#include "goroutine.h"

namespace stacktide::runtime {

// Makes g, which is parking, ready at `when` (clock_now()). After this g may run at any time.
void wake_at(Goroutine* g, std::int64_t when);
// When the earliest timer is due; 0: there is none.
std::int64_t next_timer();
// Makes ready what is due at `now`. True: something was.
bool run_timers(std::int64_t now);

}  // namespace stacktide::runtime
