// What a goroutine gives away - the closure of go(), a value sent on a channel - must not hold an address of a stack that
// may move.
//
// Concept. Such objects are built in zeroed heap memory: at -O0 constructors copy words that nobody has written, and what is
// not written must not look like an address. Then each word is compared with the range of goroutine stacks, here and inline,
// because it hardly ever lies there; the runtime judges the few that do (src/escape.cpp). Types that cannot hold an address
// cost nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "stacktide/detail/entries.h"

namespace stacktide::detail {

// Heap memory for a T, zeroed; freed again unless keep() was called.
template <class T>
class zeroed {
 public:
  zeroed() : memory_(allocate()) {
    __builtin_memset(memory_, 0, sizeof(T));
    // To the compiler, what is stored before a constructor runs is dead unless somebody may have looked.
    asm volatile("" : : "r"(memory_) : "memory");
  }
  zeroed(const zeroed&) = delete;
  zeroed& operator=(const zeroed&) = delete;
  ~zeroed() {
    if (memory_ != nullptr) free(memory_);
  }

  void* memory() const { return memory_; }
  // The object that was made in it; whoever gets it calls destroy().
  T* keep() { return static_cast<T*>(std::exchange(memory_, nullptr)); }
  static void destroy(T* object) {
    const zeroed rest(object);
    std::destroy_at(object);
  }

 private:
  explicit zeroed(T* object) : memory_(object) {}

  // Not by T's own operator new, whose memory need not be as large as T.
  static void* allocate() {
    if constexpr (alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__) {
      return ::operator new(sizeof(T), std::align_val_t{alignof(T)});
    } else {
      return ::operator new(sizeof(T));
    }
  }
  static void free(void* memory) {
    if constexpr (alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__) {
      ::operator delete(memory, sizeof(T), std::align_val_t{alignof(T)});
    } else {
      ::operator delete(memory, sizeof(T));
    }
  }

  void* memory_;
};

// Ends in "[with T = NAME]", of which a report shows NAME.
template <class T>
constexpr const char* type_text() {
  return __PRETTY_FUNCTION__;
}

// A part of an object.
struct escape_part {
  const char* type;      // type_text()
  std::size_t offset;    // of the byte in question, from the part's beginning
  bool holds_addresses;  // what is in it may be an address
};

// What there is to know of an object. `part` finds the part that holds a byte; called on a system stack.
struct escape_subject {
  const char* what;
  std::size_t bytes;
  escape_part (*part)(const void* object, std::size_t offset);
};

// Can an object of this type hold an address? A number does not: who makes one of an address means to. That matters for what
// is copied unwritten, too, such as the value of an empty optional.
template <class T>
inline constexpr bool may_hold_address =
    sizeof(T) >= sizeof(void*) && !std::is_arithmetic_v<T> && !std::is_enum_v<T> && !std::is_empty_v<T>;
template <class T>
inline constexpr bool may_hold_address<std::optional<T>> = may_hold_address<T>;
template <class T, std::size_t N>
inline constexpr bool may_hold_address<std::array<T, N>> = may_hold_address<T>;

// Does any word of the object lie where goroutine stacks are?
inline bool holds_stack_address(const void* object, std::size_t bytes) {
  const auto* words = static_cast<const std::uint64_t*>(object);
  bool any = false;
  for (std::size_t i = 0; i < bytes / sizeof(*words); ++i) any |= words[i] - stacktide_arena_lo < stacktide_arena_size;
  return any;
}

// Looks at an object that is going to be given away. Inlined up to the call, whose return address tells one place of the
// program from another.
template <class T>
[[gnu::always_inline]] inline void check_escape(const T* object, const escape_subject& subject) {
  if constexpr (may_hold_address<T>) {
    if (holds_stack_address(object, sizeof(T))) stacktide_check_escape(object, &subject);
  }
}

}  // namespace stacktide::detail
