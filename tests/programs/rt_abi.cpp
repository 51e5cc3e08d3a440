// What the calling convention allows and rt_calls.cpp does not have: more arguments than any thunk guesses, every kind of
// result, 512-bit vectors, live x87 values, 128-bit integers, locals of every alignment, static chains, coroutines,
// thread-local storage, atomics, inline assembly, jumps by exception. Every call here moves the stack under
// STACKTIDE_STRESS=move.
#include <immintrin.h>

#include <array>
#include <atomic>
#include <complex>
#include <coroutine>
#include <cstdarg>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

#include "rt_abi.h"
#include "rt_support.h"

namespace {

// A call whose check moves the stack, with a frame of its own.
[[gnu::noinline]] long moves(long value) {
  volatile long room[12];
  room[3] = value;
  return room[3];
}

// 12 integers and 4 long doubles: 48 bytes of stack arguments would not do.
void to_the_library() {
  char text[256];
  const int n = std::snprintf(text, sizeof text, "%d %d %d %d %d %d %d %d %d %d %d %d %.1Lf %.1Lf %.1Lf %.1Lf", 1, 2, 3, 4,
                              5, 6, 7, 8, 9, 10, 11, 12, 1.5L, 2.5L, 3.5L, 4.5L);
  RT_CHECK(std::strcmp(text, "1 2 3 4 5 6 7 8 9 10 11 12 1.5 2.5 3.5 4.5") == 0 && n == static_cast<int>(std::strlen(text)));
}

template <std::size_t... I>
int print_all(char* text, std::size_t size, const char* format, std::index_sequence<I...>) {
  return std::snprintf(text, size, format, static_cast<int>(I)...);
}

// 100 integers: 760 bytes on the stack, in a call whose size nobody but the caller knows.
void many_to_the_library() {
  std::string format;
  std::string expected;
  for (int i = 0; i < 100; ++i) format += "%d,", expected += std::to_string(i) + ",";
  char text[512];
  print_all(text, sizeof text, format.c_str(), std::make_index_sequence<100>());
  RT_CHECK(expected == text);
}

// The list is read while the stack moves, and handed down, where it moves too.
[[gnu::noinline]] long take(va_list* list) { return va_arg(*list, int) + moves(0); }

[[gnu::noinline]] double add_all(int n, ...) {
  va_list list;
  va_start(list, n);
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    sum += static_cast<double>(take(&list)) + va_arg(list, double) + static_cast<double>(moves(1)) - 1;
  }
  va_end(list);
  return sum;
}

void variable_arguments() {
  RT_CHECK(add_all(12, 1, 0.5, 2, 0.5, 3, 0.5, 4, 0.5, 5, 0.5, 6, 0.5, 7, 0.5, 8, 0.5, 9, 0.5, 10, 0.5, 11, 0.5, 12, 0.5) ==
           78 + 6);
  double (*volatile pointer)(int, ...) = add_all;
  RT_CHECK(pointer(2, 1, 0.25, 2, 0.25) == 3.5);
}

// Results: in memory that the caller provides, in rax and rdx, rax and xmm0, st0, st0 and st1.
struct InMemory {
  long words[20];
};
struct Mixed {
  long integer;
  double floating;
};
struct Pair {
  long first;
  long second;
};

[[gnu::noinline]] InMemory in_memory(int depth, long seed) {
  if (depth > 0) {
    InMemory result = in_memory(depth - 1, seed);
    for (long& word : result.words) word += moves(1);
    return result;
  }
  InMemory result;
  for (std::size_t i = 0; i < 20; ++i) result.words[i] = seed + static_cast<long>(i);
  return result;
}
[[gnu::noinline]] Mixed mixed(int depth) {
  return depth == 0 ? Mixed{1, 2} : Mixed{mixed(depth - 1).integer + 1, mixed(0).floating + depth};
}
[[gnu::noinline]] Pair pair(int depth, __int128 wide) {
  if (depth > 0) return pair(depth - 1, wide + depth);
  return {static_cast<long>(wide >> 64), static_cast<long>(wide)};
}
[[gnu::noinline]] __int128 multiply(int depth, __int128 a, unsigned __int128 b) {
  return depth == 0 ? a * static_cast<__int128>(b) : multiply(depth - 1, a, b) + moves(1);
}
[[gnu::noinline]] std::complex<long double> extended(int depth, long double re, long double im) {
  return depth == 0 ? std::complex<long double>(re, im) : extended(depth - 1, im, re) + std::complex<long double>(1, -1);
}

void results() {
  const InMemory big = in_memory(12, 100);
  for (std::size_t i = 0; i < 20; ++i) RT_CHECK(big.words[i] == 112 + static_cast<long>(i));
  RT_CHECK(mixed(9).integer == 10 && mixed(9).floating == 11);
  const __int128 wide = (static_cast<__int128>(7) << 64) + 5;
  RT_CHECK(pair(10, wide).first == 7 && pair(10, wide).second == 60);
  RT_CHECK(multiply(10, wide, 3) == (static_cast<__int128>(21) << 64) + 25);
  RT_CHECK(extended(10, 1.5L, 2.5L) == std::complex<long double>(11.5L, -7.5L));
}

// Eight values on the x87 stack would be too many for the ABI across a call; in between, they are held in memory or, here,
// across checks of functions that return in st0.
[[gnu::noinline]] long double horner(const long double* coefficients, int n, long double x) {
  return n == 0 ? 0.0L : coefficients[0] + x * horner(coefficients + 1, n - 1, x);
}

void extended_precision() {
  const long double coefficients[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const long double third = 1.0L / 3.0L;
  const long double before = third * 3.0L - 1.0L;
  RT_CHECK(horner(coefficients, 10, 2) == 9217);
  RT_CHECK(third * 3.0L - 1.0L == before && moves(1) == 1);
}

[[gnu::target("avx"), gnu::noinline]] __m256d weave(__m256d a, __m256d b, __m256d c, __m256d d, __m256d e, __m256d f,
                                                    __m256d g, __m256d h, __m256d on_stack, int depth) {
  if (depth > 0) return weave(h, a, b, c, d, e, f, g, on_stack, depth - 1);
  return _mm256_add_pd(_mm256_sub_pd(_mm256_mul_pd(a, b), _mm256_mul_pd(c, d)),
                       _mm256_add_pd(_mm256_sub_pd(_mm256_mul_pd(e, f), _mm256_mul_pd(g, h)), on_stack));
}

[[gnu::target("avx"), gnu::noinline]] void wide_vectors() {
  __m256d a[8];
  for (int i = 0; i < 8; ++i) a[i] = _mm256_setr_pd(i + 1, 10 * (i + 1), 100 * (i + 1), 1000 * (i + 1));
  alignas(32) double out[4];
  _mm256_store_pd(out, weave(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], _mm256_set1_pd(0.5), 16));
  // 1*2 - 3*4 + 5*6 - 7*8 = -36
  RT_CHECK(out[0] == -36 + 0.5 && out[1] == -3600 + 0.5 && out[2] == -360000 + 0.5 && out[3] == -36000000 + 0.5);
}

[[gnu::target("avx512f"), gnu::noinline]] __m512d weave_wider(__m512d a, __m512d b, __m512d c, __m512d d,
                                                              const __m512d& local, int depth, __m512d e, __m512d f,
                                                              __m512d g, __m512d h, __m512d on_stack) {
  if (depth > 0) return weave_wider(b, c, d, e, local, depth - 1, f, g, h, a, on_stack);
  return a + b + c + d + e + f + g + h + local + on_stack;
}

[[gnu::target("avx512f"), gnu::noinline]] void widest_vectors() {
  const __m512d step = _mm512_setr_pd(0, 1, 2, 3, 4, 5, 6, 7);
  const __m512d thousand = _mm512_set1_pd(1000);
  const __m512d one = _mm512_set1_pd(1);
  alignas(64) double out[8];
  _mm512_store_pd(out, weave_wider(one, one, one, one, thousand, 13, one, one, one, one, step));
  for (int i = 0; i < 8; ++i) RT_CHECK(out[i] == 8 + 1000 + i);
}

void vectors() {
  if (__builtin_cpu_supports("avx")) wide_vectors();
  if (__builtin_cpu_supports("avx512f")) widest_vectors();
}

template <std::size_t Alignment>
[[gnu::noinline]] long aligned(int depth, const char* above) {
  alignas(Alignment) char local[Alignment];
  std::memset(local, depth, sizeof local);
  const auto remainder = [](const char* at) { return reinterpret_cast<std::uintptr_t>(at) % Alignment; };
  RT_CHECK(remainder(local) == 0 && (above == nullptr || (remainder(above) == 0 && above[Alignment - 1] == depth + 1)));
  const long below = depth == 0 ? 0 : aligned<Alignment>(depth - 1, local);
  RT_CHECK(remainder(local) == 0 && local[0] == depth && local[Alignment - 1] == depth);
  return below + moves(1);
}

void aligned_locals() {
  RT_CHECK(aligned<32>(9, nullptr) == 10 && aligned<64>(9, nullptr) == 10);
  RT_CHECK(aligned<256>(9, nullptr) == 10 && aligned<2048>(9, nullptr) == 10);
}

// Pointers to functions, virtual and not, with and without adjustment of this; functions that are passed on.
struct Base {
  virtual ~Base() = default;
  virtual long first(long x) { return x + moves(1); }
  long plain(long x) const { return x + moves(2); }
};
struct Other {
  virtual ~Other() = default;
  virtual long second(long x, std::array<long, 30> by_value) { return x + by_value[29]; }
  long number = 40;
};
struct Both : Base, Other {
  long first(long x) override { return Base::first(x) + number; }
  long second(long x, std::array<long, 30> by_value) override { return Other::second(x, by_value) + moves(number); }
};

void pointers_to_code() {
  Both both;
  Base* base = &both;
  Other* other = &both;
  std::array<long, 30> values{};
  values[29] = 2;
  long (Base::*volatile member)(long) = &Base::first;
  long (Other::*volatile adjusted)(long, std::array<long, 30>) = &Other::second;
  long (Base::*volatile direct)(long) const = &Base::plain;
  for (int round = 0; round < 3; ++round) {
    RT_CHECK((base->*member)(1) == 42 && (other->*adjusted)(1, values) == 43 && (base->*direct)(1) == 3);
    RT_CHECK(base->first(2) == 43 && other->second(2, values) == 44);
  }
  long number = 10;
  const std::function<long(long)> by_reference = [&number](long x) { return number += moves(x); };
  std::function<long(long, std::array<long, 30>)> by_value = [values](long x, const std::array<long, 30>& more) {
    return values[29] + more[29] + moves(x);
  };
  RT_CHECK(by_reference(5) == 15 && by_reference(1) == 16 && number == 16 && by_value(1, values) == 5);
}

void static_chains() { RT_CHECK(nested_functions(25) == 25 * 26 / 2 + 25 * 7); }

// Coroutines: the frame is in the heap, the code that resumes it on the goroutine's stack.
struct Sequence {
  struct promise_type {
    long value = 0;
    std::coroutine_handle<> outer;
    Sequence get_return_object() { return Sequence{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Back {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
          return self.promise().outer ? self.promise().outer : std::noop_coroutine();
        }
        void await_resume() noexcept {}
      };
      return Back{};
    }
    std::suspend_always yield_value(long x) {
      value = x;
      return {};
    }
    void return_value(long x) { value = x; }
    void unhandled_exception() { throw; }
  };
  // Waits for the other coroutine by symmetric transfer.
  bool await_ready() { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> from) {
    handle.promise().outer = from;
    return handle;
  }
  long await_resume() { return handle.promise().value; }

  explicit Sequence(std::coroutine_handle<promise_type> h) : handle(h) {}
  Sequence(Sequence&& from) noexcept : handle(std::exchange(from.handle, nullptr)) {}
  Sequence& operator=(Sequence&&) = delete;
  ~Sequence() {
    if (handle) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle;
};

Sequence sum_below(long n) {
  if (n == 0) co_return moves(0);
  const std::string kept = "coroutine " + std::to_string(n);
  const long below = co_await sum_below(n - 1);
  RT_CHECK(kept == "coroutine " + std::to_string(n));
  co_return below + moves(n);
}
Sequence count_up(long n) {
  for (long i = 0; i < n; ++i) co_yield moves(i);
  if (n == 5) throw n;
  co_return -1;
}

void coroutines() {
  const Sequence sum = sum_below(12);
  sum.handle.resume();
  RT_CHECK(sum.handle.done() && sum.handle.promise().value == 78);
  const Sequence count = count_up(5);
  for (long i = 0; i < 5; ++i) {
    count.handle.resume();
    RT_CHECK(count.handle.promise().value == i);
    if (i % 2 == 0) stacktide::yield();
  }
  long caught = 0;
  try {
    count.handle.resume();
  } catch (long n) {
    caught = n;
  }
  RT_CHECK(caught == 5 && count.handle.done());
}

thread_local long calls_on_this_thread = 0;
thread_local std::string text_of_this_thread = std::to_string(moves(42));

// Not across a wait, but across moves.
void thread_locals() {
  const long before = ++calls_on_this_thread;
  RT_CHECK(text_of_this_thread == "42");
  for (int i = 0; i < 5; ++i) calls_on_this_thread += moves(2);
  RT_CHECK(calls_on_this_thread == before + 10);
}

void atomics() {
  std::atomic<long> local = 0;
  std::atomic<Pair> wide = Pair{1, 2};
  std::atomic<long>* volatile pointer = &local;
  for (int i = 0; i < 50; ++i) pointer->fetch_add(moves(1), std::memory_order_acq_rel);
  Pair expected{1, 2};
  RT_CHECK(wide.compare_exchange_strong(expected, Pair{3, moves(4)}));
  RT_CHECK(local.load() == 50 && wide.load().second == 4);
}

// A leaf may use 128 bytes below its stack pointer, and may not be checked at all.
[[gnu::noinline]] long red_zone(long a, long b) {
  long result = 0;
  asm volatile("movq %1, -128(%%rsp)\n\tmovq %2, -8(%%rsp)\n\tmovq -128(%%rsp), %0\n\taddq -8(%%rsp), %0"
               : "=&r"(result)
               : "r"(a), "r"(b)
               : "memory");
  return result;
}

// Registers that a function keeps over calls, all of them in use, two of them addresses of locals.
[[gnu::noinline]] long registers(int depth, long* above) {
  long local = depth;
  long* pointer = &local;
  long a = 1, b = 2, c = 3, d = 4;
  asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(pointer), "+r"(above));
  const long below = depth == 0 ? 0 : registers(depth - 1, pointer);
  asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(pointer), "+r"(above));
  *above += 1;
  RT_CHECK(pointer == &local && *pointer == depth + (depth == 0 ? 0 : 1));
  return below + a + b + c + d;
}

void inline_assembly() {
  long above = 0;
  RT_CHECK(red_zone(40, 2) == 42 && registers(30, &above) == 310 && above == 1);
}

// An exception whose handlers use large arguments, vectors' alignment and references into frames that have moved since.
[[gnu::noinline]] long thrower(std::array<long, 200> by_value, int depth, const long& reference) {
  struct Count {
    const long& at;
    std::array<long, 200>& values;
    ~Count() { values[1] += moves(at); }
  } const count{reference, by_value};
  if (depth == 0) throw by_value[0] + reference;
  try {
    return thrower(by_value, depth - 1, reference);
  } catch (const long& value) {
    throw value + moves(by_value[0]);
  }
}

void exceptions() {
  std::array<long, 200> values{};
  values[0] = 3;
  const long local = 4;
  try {
    thrower(values, 8, local);
    RT_CHECK(false);
  } catch (long value) {
    RT_CHECK(value == 3 + 4 + 8 * 3);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return rt::run_tests(argc, argv,
                       {{"to_the_library", to_the_library},
                        {"many_to_the_library", many_to_the_library},
                        {"variable_arguments", variable_arguments},
                        {"results", results},
                        {"extended_precision", extended_precision},
                        {"vectors", vectors},
                        {"aligned_locals", aligned_locals},
                        {"pointers_to_code", pointers_to_code},
                        {"static_chains", static_chains},
                        {"coroutines", coroutines},
                        {"thread_locals", thread_locals},
                        {"atomics", atomics},
                        {"inline_assembly", inline_assembly},
                        {"exceptions", exceptions}});
}
