// The scheduler: which goroutine runs on which thread.
//
// Concept. G, M and P, as in Go's runtime/proc.go: an M (OS thread) needs a P to run goroutines; there are
// STACKTIDE_MAXPROCS Ps. Ready goroutines wait in the queue of a P or in the global one. An M that finds nothing looks at
// the other Ps (spinning), then gives its P back and sleeps. Whoever makes a goroutine ready wakes one M if a P is idle and
// nobody is spinning; an M that stops spinning looks once more at every queue after it said so. Between them, no ready
// goroutine is left behind. When main has returned, each M rests as soon as its goroutine parks; the next run() finds the Ps
// idle again.
//
// A goroutine that is locked to its thread (lock_os_thread) runs on it alone: an M that dequeues it hands it its P, and the
// M of a locked goroutine that does not run gives its P away and waits for that.
//
// Parking. A runtime call saves the goroutine's context before the implementation runs (morestack.S), so the implementation
// may put the goroutine in a wait queue and unlock: from that moment another thread may run it. It calls begin_park() first
// and touches the goroutine no more afterwards. An M's loop is in assembly (stacktide_schedule, switch.S): it asks for the
// next goroutine, goes on in it, and is where a goroutine that parks leaves its thread.
//
// Locks, in this order: a channel's, wait group's or poll descriptor's lock; scheduler_lock; records_lock, arena_lock
// (leaves). No user code runs under any.
//
// Rejected: the caller's thread as first M (main's goroutine may end on another thread while that one runs something long;
// run() would hang).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "fatal.h"
#include "goroutine.h"
#include "options.h"
#include "processor.h"
#include "worker.h"

namespace stacktide::runtime {

// The scheduler's record: exported as it is (abi.h, type scheduler).
//
// In groups by who writes them how often, each in cache lines of its own: with several Ps, a line that one of them writes is
// away from the others.
struct Scheduler {
  // Never after the start.
  alignas(64) std::uint32_t max_procs;
  std::uint8_t policy;
  std::uint8_t stress_move;
  std::uint8_t shrink;
  std::uint64_t min_stack;
  std::uint64_t segment_size;
  std::uint64_t max_stack;
  std::uint64_t arena_lo;
  std::uint64_t arena_hi;
  std::int64_t start;
  P* ps;
  // Under the lock.
  alignas(64) std::mutex lock;  // global queue, idle lists
  Goroutine* global_head;
  Goroutine* global_tail;
  P* idle_p_list;
  M* idle_m_list;
  std::uint32_t idle_ms;
  M* waiting_m_head;  // threads whose goroutine came back from a library call and needs a P, first come, first served
  M* waiting_m_tail;
  bool running;  // run() is active
  // Whenever an M finds nothing to do, or is woken; read by whoever makes a goroutine ready.
  alignas(64) std::atomic<std::uint32_t> idle_ps;
  std::atomic<std::uint32_t> spinning_ms;
  std::atomic<std::uint64_t> global_size;
  std::atomic<std::uint32_t> waiting_ms;
  std::atomic<bool> stopping;  // main has returned: nothing more is started
  // By each spawn and each end.
  alignas(64) std::atomic<std::uint64_t> live;
  std::atomic<std::uint64_t> created;
  std::atomic<std::uint64_t> stack_bytes;
  // By waits and library calls.
  alignas(64) std::atomic<std::int64_t> now;
  std::atomic<std::uint32_t> blocking;  // goroutines in blocking()
  std::atomic<std::uint32_t> timers;
  // Threads without a P that are about to make a goroutine ready: while there are some, silence is no deadlock.
  std::atomic<std::uint32_t> wakers;
  // Goroutines that wait for a file descriptor without a deadline; those with one are among the timers.
  std::atomic<std::uint32_t> io_waiters;
};
extern Scheduler scheduler;

using Function = void (*)(void*);

// Nanoseconds of CLOCK_MONOTONIC. Uses no vector registers.
std::int64_t clock_now();
// The same as of the last tick of the kernel, some milliseconds ago at most, and at a fifth of the cost.
std::int64_t coarse_clock();

// Appends to the global queue.
void global_put(Goroutine* const* batch, std::size_t n);
// Makes a waiting goroutine runnable; its runtime call returns (result, ok).
void ready(Goroutine* g, std::uint64_t result, std::uint64_t ok);
// Puts a runnable goroutine (status already set) in a queue and wakes an M for it.
void enqueue(Goroutine* g, bool next);

// This thread's P, if it may use it now: nullptr on threads without one, and in library code, whose P the monitor may take
// at any time.
inline P* own_p() {
  const M* m = stacktide_thread.m;
  return m == nullptr || stacktide_thread.library_call.load(std::memory_order_relaxed) != 0 ? nullptr : m->p;
}
// Ends the program if all goroutines are asleep.
void check_deadlock();
// A thread without a P has made ready what it had to, and raised `wakers` before. What it made ready may have run and parked
// again meanwhile, and not been taken for a deadlock because of this thread: nobody else is going to notice.
void done_waking();
// Is anybody waiting for a P: a goroutine in a queue, or a thread?
bool work_waits();
// Finds out what __morestack must save. Once, at start.
void find_vector_state();

// The goroutine whose runtime call is being served. Ends the program when this thread is not in one: library code called
// back into the program, and that may not park; `what` says what it tried.
inline Goroutine* parking_goroutine(const char* what) {
  if (stacktide_thread.calling != 0) [[likely]] {
    // On the thread's own stack: a signal handler that interrupted a runtime call is on another one.
    const M& m = *stacktide_thread.m;
    const auto here = reinterpret_cast<std::uint64_t>(__builtin_frame_address(0));
    if (here - m.stack_lo < m.stack_hi - m.stack_lo || m.stack_hi == 0) [[likely]]
      return stacktide_thread.goroutine;
  }
  fatal_not_parkable(what);
}
// The goroutine that runs on this thread, also when library code called back; nullptr on other threads.
Goroutine* current_goroutine();
// The return address of the runtime call in progress; direct: of the implementation, when no goroutine's stack was left for
// it.
std::uint64_t caller_pc(const void* direct);
// Takes the goroutine off this thread: status, reason, clock and its exception state. After the lock that guards its queue
// entry is released it belongs to its waker. `status` is waiting or runnable.
void begin_park(Goroutine* g, std::uint8_t status, std::uint8_t reason, const void* object);

}  // namespace stacktide::runtime
