// How a value travels through a channel: as a word, which is the value itself when it is small and trivial, else the address
// of a heap slot that the sender fills and the receiver empties. So no other goroutine ever touches the stack of one that
// waits.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "stacktide/detail/escape.h"

namespace stacktide::detail {

// Bases of value_word that say to a debugger, in its debug info, which of the two a value of that type is.
struct value_in_word {};
struct value_in_heap {};

template <class T>
inline constexpr bool fits_word = std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T> && sizeof(T) <= 8;

template <class T>
struct value_word : std::conditional_t<fits_word<T>, value_in_word, value_in_heap> {
  static constexpr bool kSmall = fits_word<T>;

  // Reports addresses that escape, and is inlined for it (escape.h).
  template <class U>
  [[gnu::always_inline]] static inline std::uint64_t pack(U&& value) {
    if constexpr (kSmall) {
      const T copy = std::forward<U>(value);
      std::uint64_t word = 0;
      std::memcpy(&word, &copy, sizeof copy);
      check_escape(&copy, subject);
      return word;
    } else {
      zeroed<T> room;
      ::new (room.memory()) T(std::forward<U>(value));
      T* slot = room.keep();
      check_escape(slot, subject);
      return reinterpret_cast<std::uint64_t>(slot);
    }
  }
  static T unpack(std::uint64_t word) {
    if constexpr (kSmall) {
      T value;
      std::memcpy(&value, &word, sizeof value);
      return value;
    } else {
      const std::unique_ptr<T, destroy> slot(reinterpret_cast<T*>(word));
      return std::move(*slot);
    }
  }
  // What was packed is not sent after all.
  static void drop([[maybe_unused]] std::uint64_t word) {
    if constexpr (!kSmall) zeroed<T>::destroy(reinterpret_cast<T*>(word));
  }
  // The same, and `to`, from which it was moved, has it again; not if that could fail.
  static void give_back([[maybe_unused]] std::uint64_t word, [[maybe_unused]] T& to) {
    if constexpr (!kSmall) {
      if constexpr (std::is_nothrow_move_assignable_v<T>) to = std::move(*reinterpret_cast<T*>(word));
      drop(word);
    }
  }

 private:
  struct destroy {
    void operator()(T* slot) const { zeroed<T>::destroy(slot); }
  };
  static escape_part part(const void*, std::size_t offset) { return {type_text<T>(), offset, true}; }
  static constexpr escape_subject subject{"the value sent on a channel", sizeof(T), &part};
};

}  // namespace stacktide::detail
