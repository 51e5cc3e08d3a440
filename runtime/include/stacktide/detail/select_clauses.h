// What on_recv(), on_send(), after() and otherwise() return: a description for the runtime, and what to do when the clause
// was chosen or was not.
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "stacktide/detail/entries.h"
#include "stacktide/detail/value_word.h"

namespace stacktide::detail {

// Reads the core out of a handle.
struct core_access {
  template <class Handle>
  static void* of(const Handle& handle) {
    return handle.core_;
  }
};

struct no_action {
  void operator()() const {}
};

template <class Clause>
concept select_clause = requires(Clause& clause, two_words got) {
  { clause.description() } -> std::same_as<select_case>;
  clause.lost();
  clause.won(got);
};

template <class T, class F>
class receive_clause {
 public:
  receive_clause(void* core, F f) : core_(core), f_(std::move(f)) {}

  select_case description() const { return {select_kind::receive, core_, 0}; }
  void lost() {}
  void won(two_words got) {
    std::optional<T> value;
    if ((got.second & select_outcome::kOk) != 0) value.emplace(value_word<T>::unpack(got.first));
    if constexpr (std::invocable<F&, std::optional<T>>) {
      f_(std::move(value));
    } else {
      f_();
    }
  }

 private:
  void* core_;
  F f_;
};

template <class T, class F>
class send_clause {
 public:
  // `from`: where a value that is not sent goes back to, if not nullptr.
  template <class U>
  [[gnu::always_inline]] send_clause(void* core, U&& value, T* from, F f)
      : core_(core), from_(from), word_(value_word<T>::pack(std::forward<U>(value))), packed_(true), f_(std::move(f)) {}
  send_clause(const send_clause&) = delete;
  send_clause& operator=(const send_clause&) = delete;
  ~send_clause() { lost(); }

  select_case description() const { return {select_kind::send, core_, word_}; }
  void lost() {
    if (!std::exchange(packed_, false)) return;
    if (from_ != nullptr) {
      value_word<T>::give_back(word_, *from_);
    } else {
      value_word<T>::drop(word_);
    }
  }
  void won(two_words) {
    packed_ = false;
    f_();
  }

 private:
  void* core_;
  T* from_;
  std::uint64_t word_;
  bool packed_;
  F f_;
};

template <class F>
class plain_clause {
 public:
  plain_clause(select_kind kind, std::uint64_t word, F f) : case_{kind, nullptr, word}, f_(std::move(f)) {}

  select_case description() const { return case_; }
  void lost() {}
  void won(two_words) { f_(); }

 private:
  select_case case_;
  F f_;
};

}  // namespace stacktide::detail
