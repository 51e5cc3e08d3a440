// Goroutines that take turns, are born, die, and hand each other values.
#include <sched.h>
#include <stacktide/channel.h>
#include <stacktide/runtime.h>
#include <stacktide/sync.h>

#include <atomic>
#include <cstdlib>

#include "benchmarks.h"
#include "harness.h"

namespace bench {
namespace {

using stacktide::channel;
using stacktide::wait_group;

std::atomic<long> ended;

void only_end() { ended.fetch_add(1, std::memory_order_relaxed); }

void echo(channel<long> there, channel<long> back) {
  while (auto value = there.recv()) back.send(*value);
}

// From here on the thread runs on one of the first two processors only.
void stay_on(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) std::abort();
}

// Two goroutines, each with a thread of its own, in turns.
double thread_switches(long n, int other) {
  auto there = channel<long>::make();
  auto back = channel<long>::make();
  auto took = channel<double>::make();
  stacktide::go([=] {
    stacktide::lock_os_thread();
    stay_on(other);
    echo(there, back);
  });
  stacktide::go([=] {
    stacktide::lock_os_thread();
    stay_on(0);
    const auto start = Clock::now();
    for (long i = 0; i < n; ++i) {
      there.send(i);
      back.recv();
    }
    took.send(since(start));
    there.close();
  });
  return *took.recv();
}

// n times: starts so many, and yields until all have ended.
double spawns(long n, long together) {
  ended = 0;
  const auto start = Clock::now();
  for (long i = 1; i <= n; ++i) {
    for (long j = 0; j < together; ++j) stacktide::go(only_end);
    while (ended.load(std::memory_order_relaxed) != i * together) stacktide::yield();
  }
  return since(start);
}

}  // namespace

int processors() {
  const char* text = std::getenv("STACKTIDE_MAXPROCS");
  return text == nullptr ? 1 : std::atoi(text);
}

// Two goroutines for each processor: twice n yields for each.
double yields(long n) {
  const int goroutines = 2 * processors();
  wait_group all;
  all.add(goroutines);
  const auto start = Clock::now();
  for (int i = 0; i < goroutines; ++i) {
    stacktide::go([all, n] {
      for (long left = n; left != 0; --left) stacktide::yield();
      all.done();
    });
  }
  all.wait();
  return since(start) / processors();
}

double spawns_alone(long n) { return spawns(n, 1); }
double spawns_together(long n) { return spawns(n, kTogether); }
double spawn_bursts(long n) { return spawns(n, kBurst); }

double ping_pongs(long n) {
  auto there = channel<long>::make();
  auto back = channel<long>::make();
  stacktide::go(echo, there, back);
  const auto start = Clock::now();
  for (long i = 0; i < n; ++i) {
    there.send(i);
    back.recv();
  }
  const double took = since(start);
  there.close();
  return took;
}

double buffered(long n) {
  auto values = channel<long>::make(128);
  const auto start = Clock::now();
  stacktide::go([values, n] {
    for (long i = 0; i < n; ++i) values.send(i);
    values.close();
  });
  while (values.recv()) {
  }
  return since(start);
}

double fan_in(long n) {
  auto values = channel<long>::make();
  for (long i = 0; i < kSenders; ++i) {
    stacktide::go([values, n] {
      for (long j = 0; j < n; ++j) values.send(j);
    });
  }
  const auto start = Clock::now();
  for (long i = 0; i < kSenders * n; ++i) values.recv();
  return since(start);
}

double thread_switches_same(long n) { return thread_switches(n, 0); }
double thread_switches_other(long n) { return thread_switches(n, 1); }

}  // namespace bench
