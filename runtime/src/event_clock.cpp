#include "event_clock.h"

#include <cpuid.h>

#include <cstdlib>

#include "scheduler.h"

namespace stacktide::runtime {
namespace {

constexpr std::int64_t kBaseline = 2'000'000;  // nanoseconds
constexpr std::int64_t kReach = 40'000'000;    // four times the monitor's longest period
constexpr std::int64_t kTolerance = 2'000;
constexpr std::int64_t kSlew = 10'000'000;  // what is ahead of the clock meets it after so long
constexpr std::uint64_t kQuick = 4'000;     // ticks; a reading that takes longer was interrupted

struct Pair {
  std::int64_t time;
  std::uint64_t tsc;
};

// The noting thread's own. time 0: none.
constinit Pair last{};

// Does the counter go at one rate, whatever the processor does? (AMD and Intel: CPUID 0x80000007, EDX bit 8.)
bool is_steady() {
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::uint32_t c = 0;
  std::uint32_t d = 0;
  return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & 1U << 8) != 0;
}

bool read_both(Pair& pair) {
  for (int tries = 0; tries < 3; ++tries) {
    const std::uint64_t before = __builtin_ia32_rdtsc();
    const std::int64_t time = clock_now();
    const std::uint64_t took = __builtin_ia32_rdtsc() - before;
    if (took > kQuick) continue;
    pair = {time, before + took / 2};
    return true;
  }
  return false;
}

}  // namespace

constinit EventClock::State EventClock::state{};

std::int64_t EventClock::ask() { return clock_now(); }

void EventClock::note() {
  static const bool steady = is_steady();
  Pair now{};
  if (!steady || !read_both(now)) return;
  const std::int64_t time = now.time - last.time;
  if (last.time != 0 && time < kBaseline) return;
  const std::uint64_t reach = state.reach.load(std::memory_order_relaxed);
  const std::uint64_t ticks = now.tsc - last.tsc;
  std::uint64_t rate = 0;
  if (last.time != 0 && ticks != 0) rate = static_cast<std::uint64_t>((static_cast<unsigned __int128>(time) << 32) / ticks);
  // Over a short while, for the clock may be slewed over a long one.
  const auto foretold =
      static_cast<std::int64_t>(static_cast<unsigned __int128>(ticks) * state.rate.load(std::memory_order_relaxed) >> 32);
  const bool right = reach == 0 || ticks > reach || std::abs(foretold - time) <= kTolerance;
  // Of what was told so far.
  const std::int64_t told = state.base.load(std::memory_order_relaxed) + foretold;
  const std::int64_t ahead = right && reach != 0 && ticks <= reach && told > now.time ? told - now.time : 0;
  rate -= static_cast<std::uint64_t>(static_cast<unsigned __int128>(rate) * static_cast<std::uint64_t>(ahead) / kSlew);
  last = right ? now : Pair{};
  state.sequence.store(state.sequence.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  state.base.store(now.time + ahead, std::memory_order_relaxed);
  state.tsc.store(now.tsc, std::memory_order_relaxed);
  state.rate.store(rate, std::memory_order_relaxed);
  state.reach.store(
      !right || rate == 0 ? 0 : static_cast<std::uint64_t>((static_cast<unsigned __int128>(kReach) << 32) / rate),
      std::memory_order_relaxed);
  state.sequence.store(state.sequence.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

}  // namespace stacktide::runtime
