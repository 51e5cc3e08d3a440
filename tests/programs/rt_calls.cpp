// Ways to call and to return, built pinned and MOVABLE: variable arguments, arguments on the stack, large structures by
// value, long double, complex, vector registers, aligned locals, callbacks from the library, static locals, member pointers,
// deep recursion through pointers to locals.
#include <immintrin.h>

#include <algorithm>
#include <complex>
#include <cstdarg>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "rt_support.h"

namespace {

using Extended = long double;
#define RT_G "%Lg"
#define RT_X(number) number##L

// Room that each test's callee asks for in a frame of its own.
[[gnu::noinline]] long deep(int depth) {
  volatile long room[20];
  room[0] = 1;
  return depth == 0 ? 0 : deep(depth - 1) + room[0];
}

[[gnu::noinline]] double sum_of(int n, ...) {
  va_list arguments;
  va_start(arguments, n);
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    sum += va_arg(arguments, int);
    sum += va_arg(arguments, double);
    if (i == 3) sum += static_cast<double>(deep(10)) - 10;
    const char* text = va_arg(arguments, const char*);
    sum += static_cast<double>(std::strlen(text));
    sum += static_cast<double>(va_arg(arguments, Extended));
  }
  va_list copy;
  va_copy(copy, arguments);
  const bool end = va_arg(copy, int) == -1;
  va_end(copy);
  va_end(arguments);
  return end ? sum : -1;
}

[[gnu::noinline]] std::string format(const char* pattern, ...) {
  char text[300];
  va_list arguments;
  va_start(arguments, pattern);
  const int n = std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return std::string(text, static_cast<std::size_t>(n));
}

void variable_arguments() {
  RT_CHECK(sum_of(4, 1, 0.5, "a", RT_X(1.0), 2, 0.25, "bb", RT_X(2.0), 3, 0.125, "ccc", RT_X(3.0), 4, 1.0, "dddd", RT_X(4.0),
                  -1) == 1 + 2 + 3 + 4 + 0.5 + 0.25 + 0.125 + 1 + 10 + 10);
  RT_CHECK(format("%d %s %.2f " RT_G " %c %ld %d %d %d %d %.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f", 1, "two", 3.0,
                  RT_X(4.5), '5', 6L, 7, 8, 9, 10, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0,
                  9.0) == "1 two 3.00 4.5 5 6 7 8 9 10 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0");
  char text[200];
  std::snprintf(text, sizeof text, "%d %d %d %d %d %d %d %d %d %d %d %d %Lg %Lg %Lg %Lg", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
                12, 1.5L, 2.5L, 3.5L, 4.5L);
  RT_CHECK(std::strcmp(text, "1 2 3 4 5 6 7 8 9 10 11 12 1.5 2.5 3.5 4.5") == 0);
}

[[gnu::noinline]] long many(long a, long b, long c, long d, long e, long f, long g, const long* h, long i, double j,
                            Extended k, int l) {
  const long more = deep(14) - 14;
  return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * *h + 9 * i + static_cast<long>(j) + static_cast<long>(k) +
         l + more;
}

void stack_arguments() {
  const long h = 8;
  RT_CHECK(many(1, 2, 3, 4, 5, 6, 7, &h, 9, 10, 11, 12) == 1 + 4 + 9 + 16 + 25 + 36 + 49 + 64 + 81 + 10 + 11 + 12);
}

struct Large {
  std::uint64_t words[1000];
};

[[gnu::noinline]] Large twice(Large value, int depth) {
  if (depth > 0) return twice(value, depth - 1);
  for (auto& word : value.words) word *= 2;
  return value;
}

[[gnu::noinline]] std::uint64_t sum(Large value, int first, Large other) {
  return std::accumulate(value.words, value.words + 1000, std::uint64_t{0}) + static_cast<std::uint64_t>(first) +
         other.words[999] + static_cast<std::uint64_t>(deep(30));
}

void large_by_value() {
  Large value;
  std::iota(value.words, value.words + 1000, std::uint64_t{1});
  const Large result = twice(value, 3);
  for (std::size_t i = 0; i < 1000; ++i) RT_CHECK(value.words[i] == i + 1 && result.words[i] == 2 * (i + 1));
  RT_CHECK(sum(value, 5, result) == 500500 + 5 + 2000 + 30);
}

[[gnu::noinline]] long double fold(int depth, long double a, long double b, std::complex<long double> c) {
  if (depth == 0) return a + b + c.real() * c.imag();
  return fold(depth - 1, a + 0.5L, b, c) + 1.0L;
}
[[gnu::noinline]] std::complex<long double> turn(int depth, std::complex<long double> z) {
  return depth == 0 ? z : turn(depth - 1, z) * std::complex<long double>(0, 1);
}

void long_doubles() {
  RT_CHECK(fold(40, 1, 2, {3, 4}) == 1 + 20 + 2 + 12 + 40);
  RT_CHECK(turn(42, {1, 2}) == std::complex<long double>(-1, -2));
}

[[gnu::noinline]] std::complex<double> turn2(int depth, std::complex<double> z) {
  return depth == 0 ? z : turn2(depth - 1, z) * std::complex<double>(0, 1);
}

[[gnu::noinline]] double scale(int depth, double a, float b) { return depth == 0 ? a * b : scale(depth - 1, a + 1, b) - a; }

void floating_results() {
  RT_CHECK(scale(10, 1, 2) == 11 * 2 - 55);
  RT_CHECK(turn2(41, {1, 2}) == std::complex<double>(-2, 1));
}

[[gnu::noinline]] __m128 add4(__m128 a, __m128 b, __m128 c, __m128 d, __m128 e, __m128 f, __m128 g, __m128 h,
                              __m128 on_stack, int depth) {
  if (depth > 0) return add4(b, a, c, d, e, f, g, h, on_stack, depth - 1);
  return _mm_add_ps(_mm_add_ps(_mm_add_ps(a, b), _mm_add_ps(c, d)),
                    _mm_add_ps(_mm_add_ps(e, f), _mm_add_ps(_mm_add_ps(g, h), on_stack)));
}

[[gnu::target("avx"), gnu::noinline]] __m256d add_wide(__m256d a, __m256d b, __m256d c, int depth) {
  if (depth > 0) return add_wide(b, c, a, depth - 1);
  return _mm256_add_pd(_mm256_add_pd(a, b), c);
}

[[gnu::target("avx"), gnu::noinline]] void wide_vectors() {
  alignas(32) double out[4];
  const __m256d result = add_wide(_mm256_set_pd(1, 2, 3, 4), _mm256_set1_pd(10), _mm256_set1_pd(100), 20);
  _mm256_store_pd(out, result);
  RT_CHECK(out[0] == 114 && out[1] == 113 && out[2] == 112 && out[3] == 111);
}

void vector_registers() {
  const __m128 result = add4(_mm_set1_ps(1), _mm_set1_ps(2), _mm_set1_ps(4), _mm_set1_ps(8), _mm_set1_ps(16),
                             _mm_set1_ps(32), _mm_set1_ps(64), _mm_set1_ps(128), _mm_setr_ps(256, 512, 1024, 2048), 20);
  alignas(16) float out[4];
  _mm_store_ps(out, result);
  RT_CHECK(out[0] == 511 && out[1] == 767 && out[2] == 1279 && out[3] == 2303);
  if (__builtin_cpu_supports("avx")) wide_vectors();
}

template <std::size_t Alignment>
[[gnu::noinline]] int aligned_below(int depth, const char* above) {
  alignas(Alignment) char local[Alignment];
  std::memset(local, depth, sizeof local);
  if (reinterpret_cast<std::uintptr_t>(local) % Alignment != 0) return -1000;
  if (above != nullptr && reinterpret_cast<std::uintptr_t>(above) % Alignment != 0) return -2000;
  if (above != nullptr && *above != depth + 1) return -3000;
  const int result = depth == 0 ? 0 : aligned_below<Alignment>(depth - 1, local) + 1;
  if (reinterpret_cast<std::uintptr_t>(local) % Alignment != 0 || local[Alignment - 1] != depth) return -4000;
  return result;
}

void aligned_locals() {
  RT_CHECK(aligned_below<32>(30, nullptr) == 30);
  RT_CHECK(aligned_below<64>(30, nullptr) == 30);
  RT_CHECK(aligned_below<256>(30, nullptr) == 30);
}

int compare(const void* a, const void* b) {
  const int x = *static_cast<const int*>(a);
  const int y = *static_cast<const int*>(b);
  return static_cast<int>(deep(6) - 6) + (x > y) - (x < y);
}

void callbacks() {
  int values[100];
  for (int i = 0; i < 100; ++i) values[i] = (i * 37) % 100;
  std::qsort(values, 100, sizeof values[0], compare);
  for (int i = 0; i < 100; ++i) RT_CHECK(values[i] == i);
  const int wanted = 42;
  const void* found = std::bsearch(&wanted, values, 100, sizeof values[0], compare);
  RT_CHECK(found == &values[42]);
}

int initialised = 0;
struct Expensive {
  Expensive() : value(deep(20)) { __atomic_add_fetch(&initialised, 1, __ATOMIC_SEQ_CST); }
  long value;
};

void static_locals() {
  static Expensive expensive;
  static const std::string text = std::to_string(expensive.value) + " deep";
  RT_CHECK(expensive.value == 20 && text == "20 deep" && __atomic_load_n(&initialised, __ATOMIC_SEQ_CST) == 1);
}

struct Shape {
  virtual ~Shape() = default;
  virtual long area(int depth) const = 0;
};
struct Square final : Shape {
  explicit Square(long s) : side(s) {}
  long area(int depth) const override { return depth == 0 ? side * side : area(depth - 1) + deep(2) - 2; }
  long side;
};

void pointers_to_code() {
  const Square square(9);
  const Shape* shape = &square;
  long (Shape::*member)(int) const = &Shape::area;
  RT_CHECK(shape->area(30) == 81 && (shape->*member)(25) == 81);
  long (*volatile function)(int) = deep;
  RT_CHECK(function(50) == 50);
}

// Pointers to locals, through a list that runs through the frames, and references that are written through from below.
struct Link {
  Link* previous;
  long value;
};

[[gnu::noinline]] long walk(int depth, Link* previous, long& total, std::string& text, const long* first) {
  Link link{previous, depth};
  if (depth % 8 == 0) text += static_cast<char>('a' + depth % 26);
  if (depth == 0) {
    long sum = 0;
    for (Link* at = &link; at != nullptr; at = at->previous) sum += at->value;
    total += *first;
    return sum;
  }
  const long sum = walk(depth - 1, &link, total, text, first);
  RT_CHECK(link.previous == previous && link.value == depth);
  ++total;
  return sum;
}

void pointers_to_locals() {
  long total = 0;
  std::string text;
  const long first = 1000;
  RT_CHECK(walk(120, nullptr, total, text, &first) == 120 * 121 / 2);
  RT_CHECK(total == 1120 && text.size() == 16);
  std::vector<long> values(150);
  std::iota(values.rbegin(), values.rend(), 0);
  long compared = 0;
  std::sort(values.begin(), values.end(), [&](long a, long b) {
    ++compared;
    return a + deep(4) - 4 < b;
  });
  RT_CHECK(std::is_sorted(values.begin(), values.end()) && compared > 150);
}

}  // namespace

int main(int argc, char** argv) {
  return rt::run_tests(argc, argv,
                       {{"variable_arguments", variable_arguments},
                        {"stack_arguments", stack_arguments},
                        {"large_by_value", large_by_value},
                        {"floating_results", floating_results},
                        {"long_doubles", long_doubles},
                        {"vector_registers", vector_registers},
                        {"aligned_locals", aligned_locals},
                        {"callbacks", callbacks},
                        {"static_locals", static_locals},
                        {"pointers_to_code", pointers_to_code},
                        {"pointers_to_locals", pointers_to_locals}});
}
