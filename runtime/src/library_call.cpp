#include "library_call.h"

#include <errno.h>

#include <mutex>

#include "handoff.h"
#include "process_barrier.h"
#include "stack_growth.h"
#include "tsan.h"

// Read by assembly: where errno lies from a thread's pointer; the same in every thread, since libc's thread-local storage is
// static.
extern "C" {
constinit std::int64_t stacktide_errno_offset = 0;
}

namespace stacktide::runtime {
namespace {

std::int64_t thread_pointer() {
  std::int64_t pointer = 0;
  asm("movq %%fs:0, %0" : "=r"(pointer));
  return pointer;
}

// Under scheduler.lock, with the P in hand: the goroutine's record says from here on what it waits for.
void show_syscall(M& m, std::uint64_t function) {
  Goroutine& g = *m.goroutine;
  note_high_water(g, g.sp);
  Changing changing(g);
  g.status.store(status_syscall, std::memory_order_relaxed);
  g.wait_object = reinterpret_cast<const void*>(function);
  g.wait_since = clock_now();
  m.status.store(m_status_blocking, std::memory_order_relaxed);
}

}  // namespace

void prepare_library_calls() { stacktide_errno_offset = reinterpret_cast<std::int64_t>(&errno) - thread_pointer(); }

bool retake_p(M& m, std::uint64_t sequence) {
  if (!has_process_barrier()) return false;
  ThreadState& thread = *m.thread;
  std::uint32_t expected = retake_none;
  if (!thread.retake.compare_exchange_strong(expected, retake_proposed, std::memory_order_seq_cst)) return false;
  process_barrier();
  tsan::see_thread(thread);
  const std::uint64_t function = thread.library_call.load(std::memory_order_relaxed);
  expected = retake_proposed;
  if (function == 0 || thread.sequence.load(std::memory_order_relaxed) != sequence) {
    thread.retake.compare_exchange_strong(expected, retake_none, std::memory_order_seq_cst);
    return false;
  }
  P* p = nullptr;
  {
    std::lock_guard guard(scheduler.lock);
    if (!thread.retake.compare_exchange_strong(expected, retake_taken, std::memory_order_seq_cst)) return false;
    // Not null: a thread that calls from a goroutine's stack has a P, and gives it away to nobody but the monitor.
    p = m.p;
    m.p = nullptr;
    scheduler.blocking.fetch_add(1, std::memory_order_seq_cst);
    show_syscall(m, function);
  }
  give_p(*p);
  return true;
}

// From morestack.S, and from below: the call is over, and its P may be gone.
extern "C" __attribute__((visibility("hidden"))) void stacktide_regain_p() {
  ThreadState& thread = stacktide_thread;
  std::uint32_t expected = retake_proposed;
  if (thread.retake.compare_exchange_strong(expected, retake_none, std::memory_order_seq_cst)) return;
  if (expected == retake_none) return;
  M& m = *thread.m;
  // Takes scheduler.lock, so the monitor has written all it had to.
  wait_for_p(m);
  thread.retake.store(retake_none, std::memory_order_relaxed);
  Goroutine& g = *m.goroutine;
  {
    Changing changing(g);
    g.status.store(status_running, std::memory_order_relaxed);
    g.wait_object = nullptr;
  }
  m.status.store(m_status_running, std::memory_order_relaxed);
  scheduler.blocking.fetch_sub(1, std::memory_order_seq_cst);
}

void leave_library_call() {
  ThreadState& thread = stacktide_thread;
  thread.library_call.store(0, std::memory_order_relaxed);
  // The monitor's membarrier makes this order hold in the machine too.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (thread.retake.load(std::memory_order_relaxed) != retake_none) stacktide_regain_p();
}

LibraryCall::LibraryCall(std::uint64_t function) {
  ThreadState& thread = stacktide_thread;
  thread.sequence.store(thread.sequence.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  thread.library_call.store(function, std::memory_order_release);
}

LibraryCall::~LibraryCall() { leave_library_call(); }

}  // namespace stacktide::runtime
