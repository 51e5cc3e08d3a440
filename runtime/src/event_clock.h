// The time of what is recorded: nanoseconds of CLOCK_MONOTONIC, at a third of the cost of asking for it.
//
// Concept. A growth of a small stack takes as long as ten readings of the clock, and needs two. The processor's own counter
// (TSC) takes 7 ns where clock_gettime() takes 24. The monitor, which looks at the clock anyway, notes pairs of both, and
// their rate between the last two; in between, time is computed. Before the first two pairs, when the last is too old
// (kReach), and where the counter is nothing to go by, the clock is asked.
//
// Invariants. A rate is measured over kBaseline at least, so a time is off by a microsecond at most. Time is not set back
// when a pair comes that is behind it, but goes slower until the next ones; only when the counter goes out of use may it be.
// A pair that the last rate did not foretell to kTolerance puts the counter out of use until the next two pairs (a virtual
// machine was moved, or the clock was slewed). Times are for people and for the order of what one thread did; what has to be
// due goes by the clock.
//
// Rejected: a rate measured once at start (the clock is slewed); the rate that the processor tells (CPUID leaf 0x15 is
// missing or rounded).
#pragma once

#include <atomic>
#include <cstdint>

namespace stacktide::runtime {

class EventClock {
 public:
  static std::int64_t now() {
    const std::uint32_t before = state.sequence.load(std::memory_order_acquire);
    const std::int64_t base = state.base.load(std::memory_order_relaxed);
    const std::uint64_t ticks = __builtin_ia32_rdtsc() - state.tsc.load(std::memory_order_relaxed);
    const std::uint64_t rate = state.rate.load(std::memory_order_relaxed);
    const bool usable = ticks < state.reach.load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (!usable || (before & 1) != 0 || state.sequence.load(std::memory_order_relaxed) != before) [[unlikely]]
      return ask();
    return base + static_cast<std::int64_t>(static_cast<unsigned __int128>(ticks) * rate >> 32);
  }

  // By one thread, from time to time: notes what the clock is now.
  static void note();

 private:
  static std::int64_t ask();

  struct State {
    std::atomic<std::uint32_t> sequence;  // odd while the others change
    std::atomic<std::int64_t> base;       // nanoseconds when the counter was tsc
    std::atomic<std::uint64_t> tsc;
    std::atomic<std::uint64_t> rate;   // nanoseconds a tick, times 2^32
    std::atomic<std::uint64_t> reach;  // ticks from tsc on that may be computed with; 0: none
  };
  static State state;
};

}  // namespace stacktide::runtime
