// Goroutines that are made to yield at a failed check while vector registers hold arguments: all of a register comes back,
// also halves that are zero, whatever the other goroutine has left there. Run it with STACKTIDE_MAXPROCS=1.
#include <immintrin.h>

#include <atomic>
#include <cstring>

#include "rt_support.h"

namespace {

constexpr int kSwitches = 12;  // each comes after some 10 ms

alignas(32) constexpr float kLower[8] = {1, 2, 3, 4};
alignas(32) constexpr float kBoth[8] = {5, 6, 7, 8, 9, 10, 11, 12};
std::atomic<const float*> last = nullptr;  // of whom ran last
std::atomic<int> switches = 0;

[[gnu::noinline, gnu::target("avx")]] bool holds(__m256 value, const float* wanted) {
  float got[8];
  _mm256_storeu_ps(got, value);
  return std::memcmp(got, wanted, sizeof got) == 0;
}

// Nothing here waits: another goroutine runs only after one of the checks in holds() has failed.
[[gnu::target("avx")]] void keep_calling(const float* values, stacktide::wait_group done) {
  while (switches.load(std::memory_order_relaxed) < kSwitches) {
    if (last.exchange(values, std::memory_order_relaxed) != values) switches.fetch_add(1, std::memory_order_relaxed);
    for (int i = 0; i < 1000; ++i) RT_CHECK(holds(_mm256_load_ps(values), values));
  }
  done.done();
}

}  // namespace

int main() {
  if (!__builtin_cpu_supports("avx")) {
    std::puts("no AVX: nothing to see");
    return 0;
  }
  stacktide::run([] {
    stacktide::wait_group done;
    done.add(2);
    stacktide::go(keep_calling, kLower, done);
    stacktide::go(keep_calling, kBoth, done);
    done.wait();
  });
  std::puts("right");
}
