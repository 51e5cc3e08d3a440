// Boundaries between segments are counted, each by the function that needed room and the place that called it, whoever crosses them and on however many
// threads. Runs under STACKTIDE_POLICY=segmented.
#include <atomic>

#include "hot_splits.h"
#include "rt_frames_exact.h"

namespace {

using stacktide::runtime::HotSplit;
using stacktide::runtime::hot_splits;

std::atomic<std::uint64_t> all_links = 0;

[[gnu::noipa, gnu::aligned(256)]] void callee() {
  volatile char room[900];
  room[0] = 1;
  room[899] = room[0];
}

// Not a copy made for one caller, either: its code is looked for at its address.
// Calls callee() on a stack that has no room for it, n times.
[[gnu::noipa, gnu::aligned(256)]] void loop_a(int n) {
  for (int i = 0; i < n; ++i) callee();
}

[[gnu::noipa, gnu::aligned(256)]] void loop_b(int n) {
  for (int i = 0; i < n; ++i) callee();
  volatile int keep = n;
  (void)keep;
}

// Runs the loop where its callee straddles the boundary: in a goroutine, below as many frames as it takes.
template <class F>
[[gnu::noinline]] void straddling(F loop, int depth) {
  volatile char room[64];
  room[0] = 1;
  const rt::Check check = rt::check_of(reinterpret_cast<const void*>(&callee));
  // callee() runs a little below this frame; the loop itself still has room.
  if (stacktide::stack_info().headroom > check.compared && depth < 20) {
    straddling(loop, depth + 1);
  } else {
    loop();
  }
  room[1] = room[0];
}

template <class F>
void in_goroutine(F loop) {
  stacktide::wait_group finished;
  finished.add(1);
  stacktide::go([=]() mutable {
    straddling(loop, 0);
    all_links += stacktide::stack_info().links;
    finished.done();
  });
  finished.wait();
}

// The record of callee() called from this function, whose code is less than 256 bytes and begins at a multiple of that.
const HotSplit* split_of(void (*caller)(int)) {
  const HotSplit* found = nullptr;
  for (const HotSplit& split : hot_splits) {
    const std::uint64_t pc = split.pc;
    if (pc - reinterpret_cast<std::uint64_t>(&callee) >= 256) continue;
    if (split.caller - reinterpret_cast<std::uint64_t>(caller) >= 256) continue;
    RT_CHECK(found == nullptr);
    found = &split;
  }
  return found;
}

void by_caller() {
  in_goroutine([] { loop_a(1000); });
  in_goroutine([] { loop_b(300); });
  const HotSplit* a = split_of(loop_a);
  const HotSplit* b = split_of(loop_b);
  RT_CHECK(a != nullptr && b != nullptr && a != b);
  RT_CHECK(a->count == 1000 && b->count == 300);
  // The first turn allocates, the others find the segment that the last one released.
  RT_CHECK(a->allocated == 1 && b->allocated == 1);
  RT_CHECK(a->bytes == rt::check_of(reinterpret_cast<const void*>(&callee)).frame);
}

void by_many() {
  constexpr int kGoroutines = 64;
  stacktide::wait_group finished;
  finished.add(kGoroutines);
  for (int i = 0; i < kGoroutines; ++i) {
    stacktide::go([=]() mutable {
      const auto loop = [] {
        loop_a(100);
        stacktide::yield();
        loop_a(100);
      };
      straddling(loop, 0);
      all_links += stacktide::stack_info().links;
      finished.done();
    });
  }
  finished.wait();
  const HotSplit* a = split_of(loop_a);
  RT_CHECK(a->count == 1000 + kGoroutines * 200);
  RT_CHECK(a->allocated <= 1 + kGoroutines * 2);
}

}  // namespace

int main() {
  stacktide::run([] {
    by_caller();
    by_many();
    // Nothing is counted twice or forgotten: what the goroutines counted is what the boundaries did.
    std::uint64_t counted = 0;
    for (const HotSplit& split : hot_splits) counted += split.count;
    RT_CHECK(counted == all_links + stacktide::stack_info().links);
    RT_CHECK(hot_splits[stacktide::runtime::kHotSplits - 1].count == 0);
  });
}
