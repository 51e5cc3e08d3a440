// Goroutines that wait below frames of every shape: what stack maps must describe, and unwinders agree about.
//
// It compares the frames that the runtime's walk by records finds with those of the C++ library's unwinder, in every
// goroutine; says `ready`, and waits for the end of its input. Meanwhile tests/e2e/stack_walks_test.cpp compares what core
// finds by records with libunwind. Exits 0 when every value on its stacks was kept.
#include <unistd.h>
#include <unwind.h>

#include <array>
#include <coroutine>
#include <cstdarg>
#include <cstring>
#include <string>
#include <vector>

#include "goroutine.h"
#include "rt_support.h"
#include "stack_map.h"

extern "C" void stacktide_with_context(stacktide::runtime::Goroutine* g, void (*f)(void*), void* argument);

namespace {

struct Walked {
  std::uint64_t pc;
  std::uint64_t sp;
};
constexpr std::size_t kMaxFrames = 128;

struct Frames {
  const stacktide::runtime::Goroutine* goroutine;
  std::size_t count = 0;
  Walked frames[kMaxFrames];
  void add(std::uint64_t pc, std::uint64_t sp) {
    RT_CHECK(count < kMaxFrames);
    frames[count++] = {pc, sp};
  }
};

_Unwind_Reason_Code unwound(_Unwind_Context* context, void* data) {
  auto& frames = *static_cast<Frames*>(data);
  const std::uint64_t pc = _Unwind_GetIP(context);
  if (pc == 0) return _URC_END_OF_STACK;
  // The unwinder's CFA of a frame is the stack pointer in it. Frames of this function, and of the runtime, come first.
  const std::uint64_t sp = _Unwind_GetCFA(context);
  const bool own = sp - frames.goroutine->sp <= frames.goroutine->stack_hi - frames.goroutine->sp;
  if (own && stacktide::runtime::site_record(pc).shape != nullptr) frames.add(pc, sp);
  return _URC_NO_REASON;
}

void compare_walks() {
  std::size_t compared = 0;
  stacktide::runtime::for_each_goroutine([&](stacktide::runtime::Goroutine& g) {
    if (g.id == 0 || g.status.load() != stacktide::runtime::status_waiting) return;
    Frames by_unwinder{&g, 0, {}};
    stacktide_with_context(
        &g, [](void* data) { _Unwind_Backtrace(unwound, data); }, &by_unwinder);
    Frames by_records{&g, 0, {}};
    std::uint64_t rest = 0;
    const auto end = stacktide::runtime::walk_frames(g, rest, [&](const auto& frame, const auto&) {
      by_records.add(frame.pc, frame.sp);
      return true;
    });
    RT_CHECK(end == stacktide::runtime::WalkEnd::bottom);
    RT_CHECK(by_records.count == by_unwinder.count);
    for (std::size_t i = 0; i < by_records.count; ++i)
      RT_CHECK(by_records.frames[i].pc == by_unwinder.frames[i].pc && by_records.frames[i].sp == by_unwinder.frames[i].sp);
    compared += by_records.count;
  });
  RT_CHECK(compared > 32 * 3);
}

using Channel = stacktide::channel<int>;

struct Wait {
  Channel release;
  // Out of line: whoever waits has a frame of its own.
  [[gnu::noinline]] int operator()() { return release.recv().value_or(0); }
};

[[gnu::noinline]] long plain(Wait& wait, long a) {
  volatile long local = a;
  return wait() + local;
}

// More live values than there are callee-saved registers.
[[gnu::noinline]] long many_registers(Wait& wait, long a, long b, long c, long d, long e, long f) {
  const long g = a * b, h = c * d, i = e * f, j = a + f, k = b ^ e, l = c - d;
  const long waited = wait();
  return waited + a + b + c + d + e + f + g + h + i + j + k + l;
}

template <std::size_t Alignment>
[[gnu::noinline]] long aligned(Wait& wait, long a) {
  alignas(Alignment) volatile char room[Alignment];
  room[0] = static_cast<char>(a);
  RT_CHECK(reinterpret_cast<std::uintptr_t>(room) % Alignment == 0);
  const long waited = plain(wait, a + 1);
  RT_CHECK(reinterpret_cast<std::uintptr_t>(room) % Alignment == 0);
  return waited + room[0];
}

template <std::size_t Size>
[[gnu::noinline]] long sized(Wait& wait, long a) {
  volatile long numbers[Size / 8];
  for (std::size_t i = 0; i < Size / 8; ++i) numbers[i] = a + static_cast<long>(i);
  long sum = plain(wait, a);
  for (std::size_t i = 0; i < Size / 8; ++i) RT_CHECK(numbers[i] == a + static_cast<long>(i));
  return sum + numbers[Size / 16];
}

struct Large {
  std::array<long, 40> values;
};

[[gnu::noinline]] long by_value(Wait& wait, Large large, double x, Large other) {
  const long waited = plain(wait, large.values[3]);
  return waited + large.values[39] + other.values[0] + static_cast<long>(x);
}

[[gnu::noinline]] long variable(Wait* wait, int count, ...) {
  va_list list;
  va_start(list, count);
  long sum = 0;
  for (int i = 0; i < count; ++i) sum += va_arg(list, long);
  sum += (*wait)();
  va_end(list);
  return sum;
}

struct Shape {
  virtual ~Shape() = default;
  [[gnu::noinline]] virtual long area(Wait& wait, long scale) { return plain(wait, scale) * 2; }
};
struct Square : Shape {
  long side = 3;
  [[gnu::noinline]] long area(Wait& wait, long scale) override { return side * scale + Shape::area(wait, scale); }
};

[[gnu::noinline]] long in_a_handler(Wait& wait, long a) {
  long result = 0;
  try {
    std::string text = "thrown " + std::to_string(a);
    throw text;
  } catch (const std::string& text) {
    result = plain(wait, a) + static_cast<long>(text.size());
  }
  return result;
}

[[gnu::noinline]] long deep(Wait& wait, int levels, long a) {
  volatile char room[56];
  room[0] = static_cast<char>(levels);
  return (levels == 0 ? plain(wait, a) : deep(wait, levels - 1, a)) + room[0] - levels;
}

struct Coroutine {
  struct promise_type {
    Coroutine get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

Coroutine counting(Wait& wait, long& result) {
  for (long i = 0; i < 3; ++i) {
    result += i;
    if (i == 1) result += plain(wait, i);
    co_await std::suspend_always{};
  }
}

[[gnu::noinline]] long in_a_coroutine(Wait& wait, long a) {
  long result = a;
  const Coroutine counter = counting(wait, result);
  while (!counter.handle.done()) counter.handle.resume();
  counter.handle.destroy();
  return result;
}

[[gnu::noinline]] long with_vectors(Wait& wait, long a) {
  std::vector<long> numbers(20, a);
  std::string text(100, 'x');
  const long waited = plain(wait, a);
  return waited + numbers[7] + static_cast<long>(text.size());
}

}  // namespace

int main() {
  static constexpr long kShapes = 16;
  static long results[kShapes][2] = {};
  stacktide::run([] {
    auto release = Channel::make();
    stacktide::wait_group finished;
    long started = 0;
    for (long a : {1L, 1000L}) {
      for (long shape = 0; shape < kShapes; ++shape) {
        ++started;
        finished.add(1);
        stacktide::go([release, finished, shape, a]() mutable {
          Wait wait{release};
          const std::array<long (*)(Wait&, long), kShapes> shapes = {
              plain,
              [](Wait& w, long x) { return many_registers(w, x, 2, 3, 4, 5, 6); },
              aligned<16>,
              aligned<32>,
              aligned<64>,
              aligned<256>,
              sized<200>,
              sized<300>,
              sized<5000>,
              sized<70000>,
              [](Wait& w, long x) {
                return by_value(w, Large{{1, 2, 3, x}}, 0.5, Large{{x}});
              },
              [](Wait& w, long x) { return variable(&w, 9, 1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, x); },
              [](Wait& w, long x) {
                Square square;
                Shape* volatile some = &square;
                return some->area(w, x);
              },
              in_a_handler,
              [](Wait& w, long x) { return deep(w, 40, x); },
              [](Wait& w, long x) { return in_a_coroutine(w, x) + with_vectors(w, x); },
          };
          results[shape][a == 1 ? 0 : 1] = shapes[static_cast<std::size_t>(shape)](wait, a);
          finished.done();
        });
      }
    }
    while (release.waiting() < static_cast<std::size_t>(started)) stacktide::yield();
    stacktide::blocking([] {
      compare_walks();
      std::puts("ready");
      std::fflush(stdout);
      for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
      }
    });
    release.close();
    finished.wait();
  });
  // Each result is linear in what it was given, or was added to it once.
  for (long shape = 0; shape < kShapes; ++shape) RT_CHECK(results[shape][0] != 0 && results[shape][1] != results[shape][0]);
  std::puts("right");
}
