// Timers: goroutines that are made ready at a time, unless something else happens first.
//
// A heap under a lock of its own; the monitor thread waits for the earliest. Its lock is a leaf: what is due is taken out
// and, for a select, decided under it, and made ready without it. A timer knows its place in the heap, so that a cancelled
// one leaves it at once and not when its time comes. A Timer never lies on a stack: a sleeper's is in its Private, a
// select's in its record. A pending timer counts as something alive: no deadlock while there is one.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace stacktide::runtime {

struct Goroutine;

struct Timer {
  Goroutine* goroutine;
  std::uint64_t outcome;       // as in Waiter
  std::atomic<bool>* decided;  // as in Waiter; nullptr: a sleeper
  std::size_t place;           // in the heap, counted from 1; 0: not in it
};

// Adds a timer for a goroutine that is parking, due at `when` (clock_now()). After this the goroutine may run at any time.
void add_timer(Timer& timer, std::int64_t when);
// After this nobody looks at the timer any more, whether it was due or not.
void cancel_timer(Timer& timer);
// Makes g, which is parking, ready at `when`.
void wake_at(Goroutine* g, std::int64_t when);
// When the earliest timer is due; 0: there is none. The monitor asks before it sleeps, and must be awake again by then.
std::int64_t next_timer();
// Makes ready what is due at `now`. True: something was.
bool run_timers(std::int64_t now);

}  // namespace stacktide::runtime
