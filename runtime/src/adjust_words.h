// The innermost loop of moving a stack: a stretch of words is copied, and those that point into the old stack get the
// distance added.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stacktide::runtime {

// What moves: the addresses from lo on, up to and with lo + size, and how far.
struct Shift {
  std::uint64_t lo;
  std::uint64_t size;
  std::uint64_t delta;
};

// Copies n words, to the same ones or to others far away; of words that lie in what moves, the copy is shifted. How many
// were. With AVX-512 or AVX2 where the processor has them.
std::uint32_t adjust_words(std::uint64_t* to, const std::uint64_t* from, std::size_t n, const Shift& shift);
// The same one by one: for a few that were stored so just now, which other units could not read yet.
std::uint32_t adjust_stored_words(std::uint64_t* to, const std::uint64_t* from, std::size_t n, const Shift& shift);
// Chooses by the processor. Once, at start.
void find_adjust_words();

// One way to do it.
struct AdjustWay {
  const char* needs;  // of the processor
  std::uint32_t (*words)(std::uint64_t* to, const std::uint64_t* from, std::size_t n, const Shift& shift);
};
inline constexpr std::size_t kAdjustWays = 3;
// Those that this processor can, the best first; how many there are.
std::size_t adjust_ways(AdjustWay (&ways)[kAdjustWays]);

}  // namespace stacktide::runtime
