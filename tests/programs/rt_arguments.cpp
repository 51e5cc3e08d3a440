// Arguments on the stack of calls that leave goroutine code: large structures by value to a library without stack checks, called by
// name, by pointer and virtually; more than a hundred scalars to snprintf; forwarding by tail call; arguments and locals aligned to
// more than any vector. In a stack that ends anywhere.
#include "rt_arguments.h"

#include <cstring>
#include <string>
#include <utility>

#include "rt_support.h"

namespace {

constexpr Words make_words(std::uint64_t first) {
  Words words{};
  for (std::uint64_t i = 0; i < 1000; ++i) words.word[i] = first + i * i;
  return words;
}

constexpr std::uint64_t expected(const Words& words) {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) sum += (i + 1) * words.word[i];
  return sum;
}

// In static memory, so that the frames of the callers hold the arguments and nothing else.
constexpr Words kWords = make_words(7);
constexpr Words kMore = make_words(1000);

void by_name() {
  RT_CHECK(sum_of_words(kWords) == expected(kWords));
  RT_CHECK(sum_of_words_c(kMore) == expected(kMore));
}

void among_others() {
  Bytes bytes;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < sizeof bytes.byte; ++i) {
    bytes.byte[i] = static_cast<unsigned char>(i * 7);
    sum += (i + 1) * bytes.byte[i];
  }
  RT_CHECK(sum_of_all(5, kWords, 6.0L, bytes, kMore, 7) == 5 + expected(kWords) + 6 + sum + 3 * expected(kMore) + 7);
}

void virtually() { RT_CHECK(unchecked_summing().sum(kMore, 3) == expected(kMore) * 3); }

void by_pointer() {
  const SumOfWords function = unchecked_function();
  RT_CHECK(function(kWords) == expected(kWords));
}

// A function with a small frame whose own arguments become those of the library: its frame does not hold them.
[[gnu::noinline]] std::uint64_t forward(Words words) { return sum_of_words_c(words); }

void forwarded() { RT_CHECK(forward(kWords) == expected(kWords)); }

// Pushed and not counted by the stack check, because it is optimised for size.
[[gnu::cold, gnu::noinline]] int cold_print(char* text, std::size_t size) {
  return std::snprintf(text, size, "%d %d %d %d %d %d %d %d %d %d %d %d %Lg %Lg %Lg %Lg", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
                       12, 1.5L, 2.5L, 3.5L, 4.5L);
}

void from_cold_code() {
  char text[128];
  RT_CHECK(static_cast<std::size_t>(cold_print(text, sizeof text)) == std::strlen(text));
  RT_CHECK(std::strcmp(text, "1 2 3 4 5 6 7 8 9 10 11 12 1.5 2.5 3.5 4.5") == 0);
}

// To a library, and to goroutine code on whatever stack it gets.
[[gnu::noinline]] bool checked_256(Aligned<256> argument) {
  volatile char room[64];
  room[0] = 1;
  return is_multiple(&argument, 256) && argument.byte[255] == 3 && room[0] == 1;
}
[[gnu::noinline]] bool checked_4096(long first, Aligned<4096> argument) {
  return is_multiple(&argument, 4096) && argument.byte[4095] == first;
}
// And with one more argument behind it, so that their size is no multiple of its alignment.
[[gnu::noinline]] bool checked_followed(Aligned<256> argument, long a, long b, long c, long d, long e, long f, long last) {
  volatile char room[700];  // else its caller's check would do for both
  room[0] = 1;
  return is_multiple(&argument, 256) && argument.byte[255] == 3 && a + b + c + d + e + f + last == 28 && room[0] == 1;
}
// At many depths, since a segment ends at one of them.
[[gnu::noinline]] bool checked_at_depths(int depth, const Aligned<256>& small) {
  const bool fine = checked_followed(small, 1, 2, 3, 4, 5, 6, 7);
  return (depth == 0 || checked_at_depths(depth - 1, small)) && fine;
}

void aligned() {
  Aligned<256> small{};
  Aligned<4096> large{};
  small.byte[255] = 3;
  large.byte[4095] = 4;
  RT_CHECK(is_aligned_256(small) && is_aligned_4096(4, large));
  RT_CHECK(checked_256(small) && checked_4096(4, large) && checked_at_depths(20, small));
}

// The check of a frame counts what aligning it may cost, and a move keeps its alignment.
template <unsigned Alignment>
[[gnu::noinline]] bool aligned_frames(int depth, const char* above) {
  alignas(Alignment) char local[64];
  local[0] = static_cast<char>(depth);
  const bool fine = is_multiple(local, Alignment) && (above == nullptr || *above == depth + 1);
  const bool below = depth == 0 || aligned_frames<Alignment>(depth - 1, local);
  return fine && below && is_multiple(local, Alignment) && local[0] == static_cast<char>(depth);
}

void aligned_locals() {
  RT_CHECK(aligned_frames<1024>(6, nullptr));
  RT_CHECK(aligned_frames<4096>(3, nullptr));
  RT_CHECK(aligned_frames<65536>(1, nullptr));
}

template <std::size_t... Is>
int print_many(char* text, std::size_t size, const char* format, std::index_sequence<Is...>) {
  return std::snprintf(text, size, format, static_cast<long double>(Is)...);
}

void many_scalars() {
  std::string format;
  std::string wanted;
  for (int i = 0; i < 120; ++i) {
    format += "%Lg ";
    wanted += std::to_string(i) + " ";
  }
  char text[600];
  print_many(text, sizeof text, format.c_str(), std::make_index_sequence<120>());
  RT_CHECK(wanted == text);
}

}  // namespace

int main(int argc, char** argv) {
  return rt::run_tests(argc, argv,
                       {{"by_name", by_name},
                        {"among_others", among_others},
                        {"virtually", virtually},
                        {"by_pointer", by_pointer},
                        {"forwarded", forwarded},
                        {"from_cold_code", from_cold_code},
                        {"aligned", aligned},
                        {"aligned_locals", aligned_locals},
                        {"many_scalars", many_scalars}});
}
