// Copying and adjusting words in each way that this processor can, against the plainest one: all lengths and alignments
// around those at which they change their pace, in place and from one stack to another, with addresses at and around both
// ends.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "adjust_words.h"

using namespace stacktide::runtime;

namespace {

constexpr Shift kShift{.lo = 0x1d5a9d5a0000, .size = 2048, .delta = 0x10000};
constexpr std::uint64_t kUntouched = 0x1111;

// Mostly small numbers, and whatever is nearly in the range.
std::uint64_t some_word(std::mt19937_64& random) {
  constexpr std::uint64_t kEnds[] = {kShift.lo - 1, kShift.lo, kShift.lo + 8, kShift.lo + kShift.size,
                                     kShift.lo + kShift.size + 1};
  switch (random() % 4) {
    case 0:
      return kEnds[random() % std::size(kEnds)];
    case 1:
      return random();
    case 2:
      return kShift.lo + random() % 4096;
    default:
      return random() % 1000;
  }
}

std::uint64_t expected(std::uint64_t word) {
  return word >= kShift.lo && word <= kShift.lo + kShift.size ? word + kShift.delta : word;
}

// Words that begin `at` words behind an address that is a multiple of 64.
struct Room {
  alignas(64) std::uint64_t words[256];
};

void check(const AdjustWay& way, std::size_t at, std::size_t n, bool in_place, std::mt19937_64& random) {
  static Room from;
  static Room to;
  for (auto& word : from.words) word = some_word(random);
  for (auto& word : to.words) word = kUntouched;
  const Room before = from;
  Room& result = in_place ? from : to;
  const std::uint32_t changed = way.words(result.words + at, from.words + at, n, kShift);
  std::uint32_t count = 0;
  std::string wrong;
  for (std::size_t i = 0; i < std::size(from.words); ++i) {
    const bool inside = i >= at && i < at + n;
    count += inside && expected(before.words[i]) != before.words[i];
    const std::uint64_t outside = in_place ? before.words[i] : kUntouched;
    if (result.words[i] != (inside ? expected(before.words[i]) : outside)) wrong += std::to_string(i) + " ";
  }
  CHECK(wrong == "");
  CHECK(changed == count);
}

}  // namespace

TEST_CASE("each way copies the same words, changes those in the range, and touches no others") {
  AdjustWay ways[kAdjustWays];
  const std::size_t n = adjust_ways(ways);
  REQUIRE(n >= 1);
  CHECK(std::string(ways[n - 1].needs) == "nothing");
  std::mt19937_64 random(20261127);
  for (std::size_t i = 0; i < n; ++i) {
    CAPTURE(std::string(ways[i].needs));
    for (std::size_t at = 0; at < 16; ++at) {
      for (std::size_t words = 0; words <= 70; ++words) {
        for (const bool in_place : {false, true}) {
          CAPTURE(at);
          CAPTURE(words);
          CAPTURE(in_place);
          check(ways[i], at, words, in_place, random);
        }
      }
    }
  }
}
