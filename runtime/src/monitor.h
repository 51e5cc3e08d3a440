// The monitor: a thread without a P that wakes sleepers and shrinks stacks. It sleeps while there is neither.
#pragma once

namespace stacktide::runtime {

void start_monitor();
// Something changed that the monitor waits for: a timer that is earlier than the others.
void wake_monitor();
// A stack has grown: look in a while whether some can shrink.
void expect_shrinks();

}  // namespace stacktide::runtime
