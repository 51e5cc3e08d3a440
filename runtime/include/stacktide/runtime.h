// Goroutines for C++: start them, let them wait, ask about their stacks.
//
//   stacktide::run([] {
//     stacktide::go([] { std::puts("hello"); });
//     stacktide::yield();
//   });
//
// A target that uses this is built with stacktide_goroutines(target): each of its functions then checks the stack and grows
// it. Locals, references, exceptions and the standard library work as ever. What must not span a wait (a channel operation,
// sleep_for, yield, ...): thread_local variables' addresses and locked std mutexes, since a goroutine may continue on
// another thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "stacktide/detail/deadline.h"
#include "stacktide/detail/entries.h"
#include "stacktide/detail/escape.h"
#include "stacktide/detail/shared_core.h"

namespace stacktide {

namespace detail {

// A part of a closure whose address nobody can keep: functions get the value.
template <class T>
inline constexpr bool is_plain_part = std::is_scalar_v<T> || std::is_empty_v<T> || is_handle<T>;

template <class F, class... Args>
struct closure {
  std::tuple<F, Args...> parts;

  // Then it may lie on the goroutine's own stack, which moves, and a goroutine is started without a call of malloc(). What a
  // lambda captures has addresses that it may give away, so that is not for it.
  static constexpr bool kTravels = is_plain_part<F> && (is_plain_part<Args> && ...) &&
                                   sizeof(std::tuple<F, Args...>) <= 64 && alignof(std::tuple<F, Args...>) <= 16;

  // Ends its life with the goroutine, on that one's stack, so that destructors may wait too.
  struct owner {
    closure* c;
    ~owner() {
      if constexpr (kTravels) {
        if (holds_stack_address(&c, sizeof c)) {
          std::destroy_at(c);
          return;
        }
      }
      zeroed<closure>::destroy(c);
    }
  };
  static void start(void* self) {
    const owner keep{static_cast<closure*>(self)};
    keep.c->call(std::index_sequence_for<Args...>{});
  }
  // By hand instead of std::apply, and inlined, so that a backtrace has one level between the function and its goroutine.
  template <std::size_t... I>
  [[gnu::always_inline]] inline void call(std::index_sequence<I...>) {
    if constexpr (std::is_member_pointer_v<F>) {
      (void)std::invoke(std::get<0>(parts), std::move(std::get<I + 1>(parts))...);
    } else {
      (void)std::move(std::get<0>(parts))(std::move(std::get<I + 1>(parts))...);
    }
  }
  // What a debugger names as the goroutine's entry: the function itself where there is one.
  const void* entry() const {
    if constexpr (std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>) {
      return reinterpret_cast<const void*>(std::get<0>(parts));
    } else {
      return reinterpret_cast<const void*>(&start);
    }
  }

  static escape_part part(const void* self, std::size_t offset) {
    const auto* c = static_cast<const closure*>(self);
    const char* byte = static_cast<const char*>(self) + offset;
    escape_part found{type_text<closure>(), offset, true};
    const auto look = [&]<class T>(const T& value) {
      const char* at = reinterpret_cast<const char*>(&value);
      if (std::is_empty_v<T> || byte < at || byte >= at + sizeof(T)) return;
      found = {type_text<T>(), static_cast<std::size_t>(byte - at), may_hold_address<T>};
    };
    std::apply([&](const auto&... values) { (look(values), ...); }, c->parts);
    return found;
  }
  static constexpr escape_subject subject{"the closure given to go()", sizeof(std::tuple<F, Args...>), &part};
};

template <class F, class... Args>
auto* make_closure(F&& f, Args&&... args) {
  using type = closure<std::decay_t<F>, std::decay_t<Args>...>;
  zeroed<type> room;
  ::new (room.memory()) type{{std::forward<F>(f), std::forward<Args>(args)...}};
  return room.keep();
}

// Runs f through `call`, which takes a plain function; brings result or exception back.
template <class F>
std::invoke_result_t<F&> call_through(void (*call)(function, void*), F& f) {
  using result = std::invoke_result_t<F&>;
  struct state {
    F& f;
    std::exception_ptr error;
    std::conditional_t<std::is_void_v<result>, bool, std::optional<std::conditional_t<std::is_void_v<result>, int, result>>>
        value;
    static void run(void* self) {
      auto& s = *static_cast<state*>(self);
      try {
        if constexpr (std::is_void_v<result>) {
          s.f();
        } else {
          s.value.emplace(s.f());
        }
      } catch (...) {
        s.error = std::current_exception();
      }
    }
  } s{f, nullptr, {}};
  call(&state::run, &s);
  if (s.error) std::rethrow_exception(std::move(s.error));
  if constexpr (!std::is_void_v<result>) return std::move(*s.value);
}

}  // namespace detail

// Runs `main` as the first goroutine and returns when it does. The other goroutines stop where they are then, as in Go.
// Not from inside a goroutine.
template <class F>
void run(F&& main) {
  auto* c = detail::make_closure(std::forward<F>(main));
  detail::stacktide_run(&std::remove_pointer_t<decltype(c)>::start, c, c->entry());
}

// Starts a goroutine that calls f(args...) with copies of them. Returns its id. Inlined so that the creation site is the
// caller's line.
template <class F, class... Args>
[[gnu::always_inline]] inline std::uint64_t go(F&& f, Args&&... args) {
  using closure = detail::closure<std::decay_t<F>, std::decay_t<Args>...>;
  if constexpr (closure::kTravels) {
    alignas(16) char room[(sizeof(closure) + 15) / 16 * 16] = {};
    auto* c = ::new (room) closure{{std::forward<F>(f), std::forward<Args>(args)...}};
    detail::check_escape(c, c->subject);
    return detail::stacktide_go(&closure::start, c, c->entry(), sizeof room);
  } else {
    auto* c = detail::make_closure(std::forward<F>(f), std::forward<Args>(args)...);
    detail::check_escape(c, c->subject);
    return detail::stacktide_go(&closure::start, c, c->entry(), 0);
  }
}

// Lets others run first.
inline void yield() { detail::stacktide_yield(); }

template <class Rep, class Period>
void sleep_for(std::chrono::duration<Rep, Period> d) {
  detail::stacktide_sleep_until(detail::deadline_after(d));
}

// Calls f on the thread's system stack while other goroutines use the processor: for calls that block the thread. f must not
// wait on goroutine primitives. Returns what f returns, throws what it throws.
template <class F>
std::invoke_result_t<F&> blocking(F&& f) {
  return detail::call_through(detail::stacktide_blocking, f);
}

// Calls f on the thread's system stack: for code that needs much stack for a short time.
template <class F>
std::invoke_result_t<F&> on_system_stack(F&& f) {
  return detail::call_through(detail::stacktide_on_system_stack, f);
}

// Until as many calls of unlock_os_thread(), this goroutine runs on the thread that it is on now, and nothing else does: for
// libraries whose state belongs to a thread. Switching to and from it costs a switch of threads.
inline void lock_os_thread() { detail::stacktide_lock_os_thread(); }
inline void unlock_os_thread() { detail::stacktide_unlock_os_thread(); }

// A name for this goroutine that the tools show; the first 23 bytes count.
inline void set_label(std::string_view text) { detail::stacktide_set_label(text.data(), text.size()); }

// The caller's id, 0 outside a goroutine.
inline std::uint64_t goroutine_id() { return detail::stacktide_current_id(); }

using stack_numbers = detail::stack_numbers;
// The caller's stack now.
[[gnu::always_inline]] inline stack_numbers stack_info() {
  stack_numbers numbers;
  detail::stacktide_stack_info(&numbers);
  return numbers;
}

// Halves the stack of the caller and of each parked goroutine that uses less than a quarter of its own and may move. Returns
// how many were. Also gives the pages of stacks that nobody has back to the system, all but 16 MiB: what otherwise happens
// after a second or two.
inline std::uint64_t shrink_stacks() { return detail::stacktide_shrink_stacks(); }

}  // namespace stacktide
