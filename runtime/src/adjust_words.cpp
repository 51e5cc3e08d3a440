// A stack's words are in the nearest caches when they have just been copied, so this loop is bound by arithmetic: eight
// words an instruction instead of one make a growth twice as fast. Who calls may use vector registers: a failed check has
// saved them all.
//
// Rejected: target_clones, whose resolvers run before anything else does, ThreadSanitizer's own start among it.
#include "adjust_words.h"

#include <immintrin.h>

#include <bit>

namespace stacktide::runtime {
namespace {

using Words = std::uint32_t (*)(std::uint64_t*, const std::uint64_t*, std::uint64_t, std::uint64_t, std::uint64_t);

std::uint32_t one_by_one(std::uint64_t* word, const std::uint64_t* to, std::uint64_t lo, std::uint64_t size,
                         std::uint64_t delta) {
  std::uint32_t changed = 0;
  for (; word < to; ++word) {
    const bool inside = *word - lo <= size;
    *word += inside ? delta : 0;
    changed += inside;
  }
  return changed;
}

[[gnu::target("avx2,popcnt")]] std::uint32_t with_avx2(std::uint64_t* word, const std::uint64_t* to, std::uint64_t lo,
                                                       std::uint64_t size, std::uint64_t delta) {
  // Comparisons are of signed numbers: with the highest bit turned, they order unsigned ones.
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  const __m256i base = _mm256_set1_epi64x(static_cast<long long>(lo ^ kSign));
  const __m256i limit = _mm256_set1_epi64x(static_cast<long long>(size ^ kSign));
  const __m256i distance = _mm256_set1_epi64x(static_cast<long long>(delta));
  int changed = 0;
  for (; to - word >= 4; word += 4) {
    auto* four = reinterpret_cast<__m256i*>(word);
    const __m256i value = _mm256_loadu_si256(four);
    // value - (lo ^ sign) is (value - lo) ^ sign: the sign is the same whether it is added or subtracted.
    const __m256i outside = _mm256_cmpgt_epi64(_mm256_sub_epi64(value, base), limit);
    const int mask = _mm256_movemask_pd(_mm256_castsi256_pd(outside));
    if (mask == 0xf) continue;
    _mm256_storeu_si256(four, _mm256_add_epi64(value, _mm256_andnot_si256(outside, distance)));
    changed += 4 - std::popcount(static_cast<unsigned>(mask));
  }
  return static_cast<std::uint32_t>(changed) + one_by_one(word, to, lo, size, delta);
}

[[gnu::target("avx512f,popcnt")]] std::uint32_t with_avx512(std::uint64_t* word, const std::uint64_t* to, std::uint64_t lo,
                                                            std::uint64_t size, std::uint64_t delta) {
  const __m512i base = _mm512_set1_epi64(static_cast<long long>(lo));
  const __m512i limit = _mm512_set1_epi64(static_cast<long long>(size));
  const __m512i distance = _mm512_set1_epi64(static_cast<long long>(delta));
  int changed = 0;
  for (; word < to; word += 8) {
    // All eight, or those that are left.
    const __mmask8 wanted = to - word >= 8 ? 0xff : static_cast<__mmask8>((1U << (to - word)) - 1);
    const __m512i value = _mm512_maskz_loadu_epi64(wanted, word);
    const __mmask8 inside = _mm512_mask_cmple_epu64_mask(wanted, _mm512_sub_epi64(value, base), limit);
    if (inside == 0) continue;
    _mm512_mask_storeu_epi64(word, inside, _mm512_add_epi64(value, distance));
    changed += std::popcount(static_cast<unsigned>(inside));
  }
  return static_cast<std::uint32_t>(changed);
}

constinit Words chosen = one_by_one;

}  // namespace

std::uint32_t adjust_words(std::uint64_t* from, const std::uint64_t* to, std::uint64_t lo, std::uint64_t size,
                           std::uint64_t delta) {
  return chosen(from, to, lo, size, delta);
}

void find_adjust_words() {
  if (__builtin_cpu_supports("avx512f")) chosen = with_avx512;
  else if (__builtin_cpu_supports("avx2")) chosen = with_avx2;
}

}  // namespace stacktide::runtime
