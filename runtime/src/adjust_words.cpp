// A stack's words are in the nearest caches, so this loop is bound by arithmetic: eight words an instruction instead of one
// make a growth twice as fast. Reading the old stack rather than a copy of it counts as much: what was just stored by a
// copying in other units is not to be had until it has left the store buffer. Who calls may use vector registers: a failed
// check has saved them all.
//
// Old and new addresses are alike modulo 64 KiB (stack.h), so both are aligned at the same word.
//
// Rejected: target_clones, whose resolvers run before anything else does, ThreadSanitizer's own start among it.
#include "adjust_words.h"

#include <immintrin.h>

#include <bit>

namespace stacktide::runtime {
std::uint32_t adjust_stored_words(std::uint64_t* to, const std::uint64_t* from, std::size_t n, const Shift& shift) {
  std::uint32_t changed = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const bool inside = from[i] - shift.lo <= shift.size;
    to[i] = from[i] + (inside ? shift.delta : 0);
    changed += inside;
  }
  return changed;
}

namespace {

[[gnu::target("avx2,popcnt")]] std::uint32_t with_avx2(std::uint64_t* to, const std::uint64_t* from, std::size_t n,
                                                       const Shift& shift) {
  // Comparisons are of signed numbers: with the highest bit turned, they order unsigned ones.
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  const __m256i base = _mm256_set1_epi64x(static_cast<long long>(shift.lo ^ kSign));
  const __m256i limit = _mm256_set1_epi64x(static_cast<long long>(shift.size ^ kSign));
  const __m256i distance = _mm256_set1_epi64x(static_cast<long long>(shift.delta));
  int unchanged = 0;
  std::size_t i = 0;
  for (; n - i >= 4; i += 4) {
    const __m256i value = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i));
    // value - (lo ^ sign) is (value - lo) ^ sign: the sign is the same whether it is added or subtracted.
    const __m256i outside = _mm256_cmpgt_epi64(_mm256_sub_epi64(value, base), limit);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_add_epi64(value, _mm256_andnot_si256(outside, distance)));
    unchanged += std::popcount(static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(outside))));
  }
  return static_cast<std::uint32_t>(i) - static_cast<std::uint32_t>(unchanged) +
         adjust_stored_words(to + i, from + i, n - i, shift);
}

[[gnu::target("avx512f,popcnt")]] std::uint32_t with_avx512(std::uint64_t* to, const std::uint64_t* from, std::size_t n,
                                                            const Shift& shift) {
  // In place, words that were done must not be done again, as below.
  if (n < 8 || to == from) return with_avx2(to, from, n, shift);
  const __m512i base = _mm512_set1_epi64(static_cast<long long>(shift.lo));
  const __m512i limit = _mm512_set1_epi64(static_cast<long long>(shift.size));
  const __m512i distance = _mm512_set1_epi64(static_cast<long long>(shift.delta));
  const auto eight = [&](std::size_t i) __attribute__((always_inline, target("avx512f,popcnt")))->unsigned {
    const __m512i value = _mm512_loadu_si512(from + i);
    const __mmask8 inside = _mm512_cmple_epu64_mask(_mm512_sub_epi64(value, base), limit);
    _mm512_storeu_si512(to + i, _mm512_mask_add_epi64(value, inside, value, distance));
    return inside;
  };
  // The first eight, then those from the next cache line on (across two of them a load takes twice as long), then the last
  // eight: some are done twice and counted once. Not with masks: a load whose other lanes lie in a page that nobody has
  // touched takes a thousand cycles.
  std::size_t i = 8 - reinterpret_cast<std::uintptr_t>(to) % 64 / 8;
  int changed = std::popcount(eight(0) & ((1U << i) - 1));
  for (; n - i >= 8; i += 8) changed += std::popcount(eight(i));
  if (i < n) changed += std::popcount(eight(n - 8) >> (8 - (n - i)));
  return static_cast<std::uint32_t>(changed);
}

constinit AdjustWay chosen = {"nothing", adjust_stored_words};

}  // namespace

std::uint32_t adjust_words(std::uint64_t* to, const std::uint64_t* from, std::size_t n, const Shift& shift) {
  return chosen.words(to, from, n, shift);
}

std::size_t adjust_ways(AdjustWay (&ways)[kAdjustWays]) {
  std::size_t n = 0;
  const bool counts = __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("avx2");
  if (counts && __builtin_cpu_supports("avx512f")) ways[n++] = {"AVX-512", with_avx512};
  if (counts) ways[n++] = {"AVX2", with_avx2};
  ways[n++] = {"nothing", adjust_stored_words};
  return n;
}

void find_adjust_words() {
  AdjustWay ways[kAdjustWays];
  if (adjust_ways(ways) != 0) chosen = ways[0];
}

}  // namespace stacktide::runtime
