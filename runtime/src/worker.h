// M: an OS thread that runs goroutines, and the thread's own state.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "goroutine.h"

namespace stacktide::runtime {

struct P;
struct ThreadState;

struct alignas(64) M {
  std::uint64_t id;
  std::uint32_t tid;
  std::atomic<std::uint8_t> status;
  Goroutine* goroutine;  // that runs on it, 0 while it schedules
  P* p;
  std::uint64_t stack_lo;
  std::uint64_t stack_hi;
  std::uint64_t guard_size;
  // Private from here on.
  M* next_idle;       // or next in the queue for a P
  P* next_p;          // what a waker hands over
  Goroutine* locked;  // the only one to run on it, if not null
  ThreadState* thread;
  std::uint64_t* guard_slot;          // the stackguard that checks on this thread read
  std::atomic<std::uint8_t> preempt;  // 1: what runs on it shall yield at its next failed check
  std::atomic<std::uint32_t> wakeup;  // futex word: 1 when woken
  std::atomic<bool> watching;         // sleeps in epoll_wait(), not on its futex (netpoll.h)
  void* eh_globals;                   // __cxa_get_globals() of this thread
  void* fiber;                        // tsan.h
  bool spinning;
  sigset_t start_mask;  // signal mask to take once the signal stack is there
};

// Read by assembly. One per thread.
struct ThreadState {
  std::uint64_t system_sp;  // where calls from a goroutine's stack continue on the system stack
  Goroutine* goroutine;     // whose stack this thread is on; valid while rsp lies in the arena
  M* m;
  std::uint32_t calling;  // 1 while a runtime call of the goroutine is in progress: it may park
  std::uint32_t park;     // 1: when the runtime call returns, go to the scheduler
  // The library call in progress, 0 when there is none, and how many there were (library_call.h).
  std::atomic<std::uint64_t> library_call;
  std::atomic<std::uint64_t> sequence;
  std::atomic<std::uint32_t> retake;  // enum Retake
  std::uint32_t outside;              // visits and sections without a P that it is in (solo.h)
};
static_assert(offsetof(ThreadState, system_sp) == T_SYSTEM_SP && offsetof(ThreadState, goroutine) == T_GOROUTINE);
static_assert(offsetof(ThreadState, m) == T_M && offsetof(ThreadState, calling) == T_CALLING);
static_assert(offsetof(ThreadState, park) == T_PARK && offsetof(ThreadState, library_call) == T_LIBRARY_CALL);
static_assert(offsetof(ThreadState, sequence) == T_SEQUENCE && offsetof(ThreadState, retake) == T_RETAKE);

inline constexpr std::size_t kMaxMs = 4096;
extern M* all_ms;  // kMaxMs records, reserved; the first `m_count` are in use
extern std::atomic<std::uint64_t> m_count;

void reserve_ms();
// Starts a thread that takes this P and schedules. Ends the program when there can be no more threads.
void start_m(P* p, bool spinning);
// Sleeps until wake_m, and watches the network meanwhile if nobody else does. Called by the M itself, under no lock.
void sleep_m(M& m);
void wake_m(M& m);

}  // namespace stacktide::runtime

extern "C" {
extern thread_local constinit stacktide::runtime::ThreadState stacktide_thread __attribute__((tls_model("initial-exec")));
}
