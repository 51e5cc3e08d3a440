// Ordinary code, without stack checks: see rt_arguments.h.
#include "rt_arguments.h"

#include <cstring>

namespace {

std::uint64_t weighted(const Words& words) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) sum += (i + 1) * words.word[i];
  return sum;
}

class Summer final : public Summing {
  std::uint64_t sum(Words words, int last) const override { return weighted(words) * static_cast<std::uint64_t>(last); }
};

}  // namespace

std::uint64_t sum_of_words(Words words) {
  const std::uint64_t sum = weighted(words);
  std::memset(&words, 0xff, sizeof words);
  volatile const std::uint64_t* kept = words.word;  // the store must happen
  return kept[999] == ~std::uint64_t{0} ? sum : 0;
}

std::uint64_t sum_of_words_c(Words words) { return sum_of_words(words); }

std::uint64_t sum_of_all(int first, Words words, long double second, Bytes bytes, Words more, int last) {
  std::uint64_t sum = static_cast<std::uint64_t>(first) + weighted(words) + static_cast<std::uint64_t>(second);
  for (std::uint64_t i = 0; i < sizeof bytes.byte; ++i) sum += (i + 1) * bytes.byte[i];
  return sum + 3 * weighted(more) + static_cast<std::uint64_t>(last);
}

bool is_aligned_256(Aligned<256> argument) { return is_multiple(&argument, 256) && argument.byte[255] == 3; }

bool is_aligned_4096(long first, Aligned<4096> argument) {
  return is_multiple(&argument, 4096) && argument.byte[4095] == first;
}

const Summing& unchecked_summing() {
  static const Summer summer;
  return summer;
}

SumOfWords unchecked_function() { return sum_of_words; }
