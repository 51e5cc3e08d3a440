// Functions of a library without stack checks that take their arguments on the stack, and what goroutine code passes to
// them.
#pragma once

#include <cstdint>

struct Words {  // 8,000 bytes
  std::uint64_t word[1000];
};
struct Bytes {  // of a size that is no multiple of 8
  unsigned char byte[4001];
};

// Aligned to more than any vector is. Each function below says whether the address of its argument is so aligned.
template <unsigned Alignment>
struct alignas(Alignment) Aligned {
  unsigned char byte[Alignment];
};
bool is_aligned_256(Aligned<256> argument);
bool is_aligned_4096(long first, Aligned<4096> argument);
// In a way that the compiler does not see through.
inline bool is_multiple(const void* address, unsigned of) {
  auto value = reinterpret_cast<std::uintptr_t>(address);
  asm volatile("" : "+r"(value));
  return value % of == 0;
}

// The sum of all that is passed, each part times its place. The structures are overwritten afterwards: they are the
// callee's.
std::uint64_t sum_of_words(Words words);
std::uint64_t sum_of_all(int first, Words words, long double second, Bytes bytes, Words more, int last);
extern "C" std::uint64_t sum_of_words_c(Words words);

class Summing {
 public:
  virtual ~Summing() = default;
  virtual std::uint64_t sum(Words words, int last) const = 0;
};
const Summing& unchecked_summing();

using SumOfWords = std::uint64_t (*)(Words);
SumOfWords unchecked_function();
