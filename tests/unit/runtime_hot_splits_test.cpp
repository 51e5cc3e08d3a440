// The table of boundaries: one record each, whoever comes first; beyond its size everything is counted together.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <latch>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "hot_splits.h"

using namespace stacktide::runtime;

namespace {

struct Sums {
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> counts;
  std::uint64_t rest = 0;
};

Sums sums() {
  Sums result;
  for (const HotSplit& split : hot_splits) {
    if (split.pc != 0) {
      CHECK(result.counts.emplace(std::pair(split.pc.load(), split.caller), split.count.load()).second);
    } else {
      result.rest += split.count;
    }
  }
  return result;
}

}  // namespace

TEST_CASE("threads that find the same boundaries at the same time share their records") {
  constexpr int kThreads = 4;
  constexpr std::uint64_t kBoundaries = 4;
  constexpr std::uint64_t kTurns = 200'000;
  std::latch begin(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      begin.arrive_and_wait();
      for (std::uint64_t turn = 0; turn < kTurns; ++turn) {
        for (std::uint64_t i = 0; i < kBoundaries; ++i)
          count_split(0x400000 + i / 2 * 16, 0x500000 + i % 2 * 5, 100 + turn % 7, turn == 0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Sums found = sums();
  CHECK(found.counts.size() == kBoundaries);
  CHECK(found.rest == 0);
  for (const auto& [boundary, count] : found.counts) CHECK(count == kThreads * kTurns);
  for (const HotSplit& split : hot_splits) {
    if (split.pc == 0) continue;
    CHECK(split.allocated == kThreads);
    CHECK(split.bytes == 106);
  }
}

TEST_CASE("what finds no place is counted all the same") {
  const std::size_t before = sums().counts.size();
  constexpr std::uint64_t kMore = 4 * kHotSplits;
  for (std::uint64_t i = 0; i < kMore; ++i) count_split(0x600000 + i * 8, 0x700000, 64, false);
  const Sums found = sums();
  CHECK(found.counts.size() > kHotSplits * 9 / 10);
  CHECK(found.counts.size() < kHotSplits);
  CHECK(found.rest == kMore - (found.counts.size() - before));
}
