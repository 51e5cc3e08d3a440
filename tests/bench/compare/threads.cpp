// bench_compare_threads: the side of OS threads in compare.sh.
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <thread>
#include <vector>

#include "harness.h"

namespace {

void sleep_while(std::atomic<int>& word, int value) {
  syscall(SYS_futex, reinterpret_cast<int*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void wake(std::atomic<int>& word, int threads) {
  syscall(SYS_futex, reinterpret_cast<int*>(&word), FUTEX_WAKE_PRIVATE, threads, nullptr, nullptr, 0);
}

// The thread runs on this processor only; below 0: on any.
void stay_on(int processor) {
  if (processor < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) std::abort();
}

// Two threads in turns: each wakes the other and sleeps, n times.
double hand_offs(long n, int first, int second) {
  std::atomic<int> turn = 0;
  const auto take_turns = [&turn, n](int mine, int processor) {
    stay_on(processor);
    for (long i = 0; i < n; ++i) {
      while (turn.load() != mine) sleep_while(turn, 1 - mine);
      turn.store(1 - mine);
      wake(turn, 1);
    }
  };
  const auto start = bench::Clock::now();
  std::thread other(take_turns, 1, second);
  std::thread one(take_turns, 0, first);
  one.join();
  other.join();
  return bench::since(start);
}

double spawns(long n) {
  const auto start = bench::Clock::now();
  for (long i = 0; i < n; ++i) std::thread([] {}).join();
  return bench::since(start);
}

double parked_bytes(long) {
  constexpr int kThreads = 2000;
  std::atomic<int> there = 0;
  std::atomic<int> end = 0;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  const double before = bench::resident_bytes();
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      there.fetch_add(1);
      while (end.load() == 0) sleep_while(end, 0);
    });
  }
  while (there.load() != kThreads) sched_yield();
  const double after = bench::resident_bytes();
  end.store(1);
  wake(end, INT_MAX);
  for (std::thread& thread : threads) thread.join();
  return (after - before) / kThreads;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr bench::Benchmark kBenchmarks[] = {
      {"yield", [](long n) { return hand_offs(n, -1, -1); }, 2},
      {"spawn_exit", spawns, 1},
      {"parked_bytes", parked_bytes, 0},
      {"thread_switch_same", [](long n) { return hand_offs(n, 0, 0); }, 2},
      {"thread_switch_other", [](long n) { return hand_offs(n, 0, 1); }, 2},
  };
  return bench::run_named(argc, argv, kBenchmarks);
}
