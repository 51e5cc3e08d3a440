// Stacks that grow, shrink and lie about.
#include <stacktide/channel.h>
#include <stacktide/runtime.h>
#include <stacktide/sync.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "benchmarks.h"
#include "harness.h"

namespace bench {
namespace {

using stacktide::channel;
using stacktide::wait_group;

// 64 bytes of stack a call, as in main.go.
[[gnu::noinline]] long recurse(long n) {
  long untouched[2];
  asm volatile("" : : "r"(untouched));
  long room[4] = {};
  asm volatile("" : : "r"(room) : "memory");
  room[n & 3] = n;
  asm volatile("" : : "r"(room) : "memory");
  if (n == 0) return room[0];
  return recurse(n - 1) + room[n & 3];
}

// Notes when each call began. 256 bytes of stack a call, as in main.go.
[[gnu::noinline]] long clocked(long n, std::int64_t* times) {
  long room[28] = {};
  asm volatile("" : : "r"(room) : "memory");
  *times = std::chrono::nanoseconds(Clock::now().time_since_epoch()).count();
  room[n & 15] = n;
  asm volatile("" : : "r"(room) : "memory");
  if (n == 0) return room[0];
  return clocked(n - 1, times + 1) + room[n & 15];
}

// The longest time between the beginnings of two calls in [first, last) of a fresh goroutine's recursion.
std::int64_t longest_step(std::int64_t* times, long first, long last) {
  wait_group done;
  done.add(1);
  stacktide::go([=] {
    clocked(last, times);
    done.done();
  });
  done.wait();
  std::int64_t longest = 0;
  for (long i = first; i < last; ++i) longest = std::max(longest, times[i + 1] - times[i]);
  return longest;
}

// Needs more than 600 bytes, however much of it the compiler keeps below rsp.
[[gnu::noinline]] long callee(long n) {
  volatile char room[768];
  room[n & 511] = static_cast<char>(n);
  return room[n & 511];
}

// Goes down until a callee does not fit, in steps smaller than what it lacks, and calls it n times from there.
[[gnu::noinline]] double call_at_the_end(long n) {
  volatile long room[4];
  room[n & 3] = n;
  const auto before = stacktide::stack_info();
  if (before.headroom > 500) return call_at_the_end(n) + static_cast<double>(room[n & 3] - n);
  const auto start = Clock::now();
  for (long i = 0; i < n; ++i) callee(i);
  const double took = since(start);
  const auto after = stacktide::stack_info();
  if (after.links + after.grows == before.links + before.grows) std::abort();
  return took;
}

}  // namespace

template <int Depth>
double recursions(long n) {
  wait_group done;
  const auto start = Clock::now();
  for (long i = 0; i < n; ++i) {
    done.add(1);
    stacktide::go([done] {
      recurse(Depth);
      done.done();
    });
    done.wait();
  }
  return since(start);
}
template double recursions<10>(long);
template double recursions<100>(long);
template double recursions<1000>(long);
template double recursions<10000>(long);

// From 32 to 64 KiB, or the link of a segment of 32 KiB where some 32 KiB are in use: for each of the 32 KiB.
double one_growth(long) {
  std::vector<std::int64_t> times(201);
  std::vector<std::int64_t> found;
  for (int i = 0; i < 401; ++i) found.push_back(longest_step(times.data(), 90, 160));
  std::nth_element(found.begin(), found.begin() + 200, found.end());
  return static_cast<double>(found[200]) / 32;
}

// To 32 MiB.
double longest_growth(long) {
  std::vector<std::int64_t> times(80'001);
  longest_step(times.data(), 0, 1000);
  return static_cast<double>(longest_step(times.data(), 0, 80'000));
}

double shrinks(long) {
  constexpr std::uint64_t kGoroutines = 1000;
  auto never = channel<long>::make();
  wait_group deep;
  deep.add(kGoroutines);
  for (std::uint64_t i = 0; i < kGoroutines; ++i) {
    stacktide::go([=] {
      recurse(400);
      deep.done();
      never.recv();
    });
  }
  deep.wait();
  while (never.waiting() != kGoroutines) stacktide::yield();
  // From 32 to 16, 8 and 4 KiB; then until there is no more to do, for what looking costs.
  double took = 0;
  for (int i = 0; i < 3; ++i) {
    const auto start = Clock::now();
    if (stacktide::shrink_stacks() < kGoroutines) std::abort();
    took += since(start);
  }
  for (int i = 0; i < 3; ++i) stacktide::shrink_stacks();
  const auto start = Clock::now();
  if (stacktide::shrink_stacks() != 0) std::abort();
  return (took / 3 - since(start)) / kGoroutines;
}

double boundary_calls(long n) {
  auto took = channel<double>::make(1);
  stacktide::go([=] { took.send(call_at_the_end(n)); });
  return *took.recv();
}

double parked_bytes(long) {
  constexpr long kGoroutines = 100'000;
  auto never = channel<long>::make();
  const auto park = [never](long n) {
    wait_group there;
    there.add(n);
    for (long i = 0; i < n; ++i) {
      stacktide::go([=] {
        there.done();
        never.recv();
      });
    }
    there.wait();
    while (never.waiting() < static_cast<std::size_t>(n)) stacktide::yield();
  };
  park(100);
  const double before = resident_bytes();
  park(kGoroutines);
  return (resident_bytes() - before) / kGoroutines;
}

}  // namespace bench
