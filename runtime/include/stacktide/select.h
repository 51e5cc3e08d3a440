// select: waits until one of several things can happen, and does that one.
//
//   stacktide::select(stacktide::on_recv(work, [&](std::optional<Job> job) { ... }),
//                     stacktide::on_send(results, next, [&] { ... }),
//                     stacktide::after(5ms, [&] { ... }));
//
// It returns the index of the clause that was chosen, so functions may be left out:
//
//   std::optional<Job> job;
//   switch (stacktide::select(stacktide::on_recv(work, job), stacktide::on_recv(quit))) {
//     case 0: ...
//
// Of several clauses that can proceed each is as likely as the others. A closed channel can always be received from; a
// handle to no channel never can. With otherwise() nothing is waited for. With no clause at all it waits for ever. The
// function of the clause chosen is called by the goroutine itself, last, and may do anything.
#pragma once

#include <chrono>
#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "stacktide/channel.h"
#include "stacktide/detail/deadline.h"
#include "stacktide/detail/entries.h"
#include "stacktide/detail/select_clauses.h"

namespace stacktide {

// Receives a value: calls f(std::optional<T>), or f() if it takes no argument; nothing in it when the channel is closed and
// empty. The clauses are for use as arguments of select(): they refer to the channel and the variables given.
template <class T, class F = detail::no_action>
  requires std::invocable<F&, std::optional<T>> || std::invocable<F&>
auto on_recv(const channel<T>& from, F f = {}) {
  return detail::receive_clause<T, F>(detail::core_access::of(from), std::move(f));
}
// Receives a value into a variable.
template <class T>
auto on_recv(const channel<T>& from, std::optional<T>& into) {
  return on_recv(from, [&into](std::optional<T> value) { into = std::move(value); });
}

// Sends a value and calls f(). The value is made before the select begins, and destroyed when another clause is chosen.
template <class T, class U, class F = detail::no_action>
  requires std::convertible_to<U, T> && std::invocable<F&>
[[gnu::always_inline]] inline auto on_send(const channel<T>& to, U&& value, F f = {}) {
  return detail::send_clause<T, F>(detail::core_access::of(to), std::forward<U>(value), nullptr, std::move(f));
}
// Sends what is moved out of a variable, and calls f(). When another clause is chosen the variable has it again before that
// clause's function is called.
template <class T, class F = detail::no_action>
  requires std::is_nothrow_move_assignable_v<T> && std::invocable<F&>
[[gnu::always_inline]] inline auto on_send_from(const channel<T>& to, T& variable, F f = {}) {
  return detail::send_clause<T, F>(detail::core_access::of(to), std::move(variable), &variable, std::move(f));
}

// Chosen when nothing else could proceed for that long; calls f().
template <class Rep, class Period, class F = detail::no_action>
  requires std::invocable<F&>
auto after(std::chrono::duration<Rep, Period> d, F f = {}) {
  return detail::plain_clause<F>(detail::select_kind::after, static_cast<std::uint64_t>(detail::deadline_after(d)),
                                 std::move(f));
}

// Chosen when nothing else can proceed at once; calls f().
template <class F = detail::no_action>
  requires std::invocable<F&>
auto otherwise(F f = {}) {
  return detail::plain_clause<F>(detail::select_kind::otherwise, 0, std::move(f));
}

// Inlined, so that the caller's frame is the one that waits.
template <detail::select_clause... Clauses>
[[gnu::always_inline]] inline std::size_t select(Clauses&&... clauses) {
  // One more than needed: there are no arrays of nothing.
  const detail::select_case cases[] = {clauses.description()..., {}};
  const detail::two_words got = detail::stacktide_select(cases, sizeof...(Clauses));
  if ((got.second & detail::select_outcome::kWaited) != 0) detail::stacktide_select_finish(got.second);
  const std::size_t chosen = detail::select_outcome::index(got.second);
  std::size_t at = 0;
  ((at++ != chosen ? clauses.lost() : void()), ...);
  at = 0;
  ((at++ == chosen ? clauses.won(got) : void()), ...);
  return chosen;
}

}  // namespace stacktide
