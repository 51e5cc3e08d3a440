// The monitor: a thread without a P that wakes sleepers and shrinks stacks. It sleeps while there is neither.
#pragma once

#include <cstdint>

#include "goroutine.h"

namespace stacktide::runtime {

void start_monitor();
// Makes g, which is parking, ready at `when` (clock_now()). After this g may run at any time.
void wake_at(Goroutine* g, std::int64_t when);
// A stack has grown: look in a while whether some can shrink.
void expect_shrinks();

}  // namespace stacktide::runtime
