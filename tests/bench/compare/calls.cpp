// What a call costs. Compiled as goroutine code for bench_compare, and as ordinary C++ for bench_compare_plain.
#include "benchmarks.h"
#include "harness.h"
#include "library.h"

namespace bench {
namespace {

// It has a frame, and calls: a check that cannot be left out.
[[gnu::noipa]] long inner(long n) { return n + 1; }
[[gnu::noipa]] long outer(long n) { return inner(n) ^ n; }

[[gnu::always_inline]] inline long inlined(long n) {
  asm volatile("" : "+r"(n));
  return n + 1;
}

long sink;

}  // namespace

// Two calls, of a function and by it, for each.
double direct_calls(long n) {
  const auto start = Clock::now();
  long sum = 0;
  for (long i = 0; i < n; ++i) sum += outer(i);
  sink = sum;
  return since(start);
}

double inlined_calls(long n) {
  const auto start = Clock::now();
  long sum = 0;
  for (long i = 0; i < n; ++i) sum += inlined(i) ^ i;
  sink = sum;
  return since(start);
}

double library_calls(long n) {
  const auto start = Clock::now();
  long sum = 0;
  for (long i = 0; i < n; ++i) sum += library_function(i);
  sink = sum;
  return since(start);
}

double c_library_calls(long n) {
  const auto start = Clock::now();
  long sum = 0;
  for (long i = 0; i < n; ++i) sum += bench_library_function(i);
  sink = sum;
  return since(start);
}

// The same two calls, the first through a pointer.
double indirect_calls(long n) {
  long (*volatile pointer)(long) = outer;
  const auto start = Clock::now();
  long sum = 0;
  for (long i = 0; i < n; ++i) sum += pointer(i);
  sink = sum;
  return since(start);
}

}  // namespace bench
