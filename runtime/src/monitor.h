// The monitor: a thread without a P that wakes sleepers, shrinks stacks, gives empty spans back to the system, takes Ps back
// from library calls that last and asks goroutines that run long to yield. It sleeps while there is nothing of this to do:
// no timer is set, no stack has grown, few spans are empty, and no P runs.
//
// Ps are looked at as Go's sysmon does (runtime/proc.go): every 20 microseconds while something happens, then more and more
// seldom, at most every 10 milliseconds. A library call that two looks see loses its P, at once if work waits, else after 10
// ms. A goroutine that ran for 10 ms while work waits finds the preempt sentinel in its guard.
#pragma once

namespace stacktide::runtime {

void start_monitor();
// Something changed that the monitor waits for: a timer that is earlier than the others.
void wake_monitor();
// A P begins to run: looked at from now on.
void watch_ps();
// A stack has grown: look in a while whether some can shrink.
void expect_shrinks();
// There are more empty spans than are worth keeping: look in a while which of them still are.
void expect_trim();

}  // namespace stacktide::runtime
