#include "watch.h"

#include <atomic>
#include <vector>

#include "library_call.h"
#include "scheduler.h"
#include "stack.h"

namespace stacktide::runtime {
namespace {

constexpr std::int64_t kSlice = 10'000'000;

// What an earlier look saw of a P.
struct Seen {
  std::uint64_t ticks = 0;  // the goroutine it ran
  std::int64_t since = 0;
  std::uint64_t call = 0;  // the library call it was in: its number, 0 for none
  std::int64_t call_since = 0;
};

// Races with the goroutine's switches: then another one yields early, or none does and a later look asks again.
void preempt(M& m) {
  m.preempt.store(1, std::memory_order_relaxed);
  __atomic_store_n(m.guard_slot, static_cast<std::uint64_t>(k_guard_preempt), __ATOMIC_RELAXED);
}

bool look_at(P& p, Seen& seen, std::int64_t now) {
  M* m = p.m.load(std::memory_order_acquire);
  const std::uint64_t ticks = p.ticks.load(std::memory_order_relaxed);
  if (p.status.load(std::memory_order_relaxed) != p_status_running || m == nullptr) {
    seen = {};
    return false;
  }
  if (ticks != seen.ticks) {
    seen = {ticks, now};
    return false;
  }
  const ThreadState& thread = *m->thread;
  const std::uint64_t sequence = thread.sequence.load(std::memory_order_relaxed);
  if (thread.library_call.load(std::memory_order_relaxed) == 0) {
    seen.call = 0;
    if (now - seen.since < kSlice || !work_waits()) return false;
    seen.since = now;
    preempt(*m);
    return true;
  }
  if (seen.call != sequence) {
    seen.call = sequence;
    seen.call_since = now;
    return false;
  }
  return (now - seen.call_since >= kSlice || work_waits()) && retake_p(*m, sequence);
}

}  // namespace

bool look_at_ps(std::int64_t now) {
  static std::vector<Seen>* const seen = new std::vector<Seen>(scheduler.max_procs);
  bool any = false;
  for (std::uint32_t i = 0; i < scheduler.max_procs; ++i) any = look_at(scheduler.ps[i], (*seen)[i], now) || any;
  return any;
}

}  // namespace stacktide::runtime
