// The innermost loop of copying a stack: of a stretch of words, those that point into the old stack get the distance added.
#pragma once

#include <cstdint>

namespace stacktide::runtime {

// Words w with w - lo <= size, as unsigned numbers, become w + delta. How many were there. With AVX-512 or AVX2 where the
// processor has them.
std::uint32_t adjust_words(std::uint64_t* from, const std::uint64_t* to, std::uint64_t lo, std::uint64_t size,
                           std::uint64_t delta);
// Chooses by the processor. Once, at start.
void find_adjust_words();

}  // namespace stacktide::runtime
