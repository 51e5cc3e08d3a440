// Which M has which P, and how Ps change hands.
//
// Invariants. A P is in exactly one place: attached to an M, in the list of idle Ps, or on its way to one M (next_p). An M
// without a P is in the list of idle Ms, in the queue of those that wait for one, in a library call or blocking(), or waits
// for its locked goroutine; whoever hands it a P sets next_p and wakes it. While an M waits for a P none is idle. The lists
// are guarded by scheduler.lock.
#pragma once

#include "processor.h"
#include "scheduler.h"
#include "worker.h"

namespace stacktide::runtime {

// Under scheduler.lock. The P goes to an M that waits for one, else among the idle ones.
void put_idle_p(P& p);
// Under scheduler.lock.
void put_idle_m(M& m);
// Under scheduler.lock. nullptr: there is none.
P* take_idle_p();
void attach(M& m, P& p);
// Sleeps until somebody hands m a P. The caller has none, and is in a list where others find it.
void sleep_for_p(M& m);

// If a P is idle and nobody looks for work, somebody starts to.
void wake_one();
// By m itself, in sleep_for_p(): there is going to be work. If m would have been woken for it, m takes an idle P and is
// awake.
void wake_self(M& m);
// Takes an idle P for m. False: there is none.
bool acquire_p(M& m);
// Waits, on the calling M's thread, until it has a P.
void wait_for_p(M& m);
// Gives m's P to another M if there is work for it, else to the idle ones.
void release_p(M& m);
// The same for a P that was taken from its M already.
void give_p(P& p);
// Gives m's P to an M that waits for one. False: none does.
bool yield_waited_p(M& m);
inline bool yield_p(M& m) { return scheduler.waiting_ms.load(std::memory_order_relaxed) != 0 && yield_waited_p(m); }
// m has dequeued a goroutine that only `chosen` may run.
void hand_p(M& m, M& chosen);

}  // namespace stacktide::runtime
