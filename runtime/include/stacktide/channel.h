// channel<T>: goroutines hand values to each other.
//
// A channel is a handle: copy it, capture it by value, never by reference. The last handle frees what is left inside.
#pragma once

#include <cstring>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "stacktide/detail/entries.h"

namespace stacktide {

template <class T>
class channel {
 public:
  // A handle to no channel: sending and receiving wait forever, as on Go's nil channel.
  channel() = default;
  // A new channel that holds up to `capacity` values; 0: a sender waits for its receiver.
  static channel make(std::size_t capacity = 0) { return channel(detail::stacktide_chan_make(capacity)); }

  channel(const channel& other) : core_(other.core_) {
    if (core_ != nullptr) detail::stacktide_chan_retain(core_);
  }
  channel(channel&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  channel& operator=(channel other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~channel() {
    if (core_ == nullptr || detail::stacktide_chan_release(core_) == 0) return;
    while (try_recv()) {
    }
    detail::stacktide_chan_free(core_);
  }

  // Waits until the value is taken or stored. On a closed channel the program ends ("send on closed channel").
  void send(T value) { detail::stacktide_chan_send(core_, pack(std::move(value))); }
  // Waits for a value; nothing when the channel is closed and empty. Inlined, so that the caller's frame is the one that waits.
  [[gnu::always_inline]] inline std::optional<T> recv() {
    const detail::two_words got = detail::stacktide_chan_recv(core_);
    if (got.second == 0) return std::nullopt;
    return unpack(got.first);
  }
  // Sends if that needs no waiting; the value is lost otherwise.
  bool try_send(T value) {
    const std::uint64_t word = pack(std::move(value));
    if (detail::stacktide_chan_try_send(core_, word) != 0) return true;
    if constexpr (!kSmall) delete reinterpret_cast<T*>(word);
    return false;
  }
  // Receives if that needs no waiting.
  std::optional<T> try_recv() {
    std::uint64_t word = 0;
    if (detail::stacktide_chan_try_recv(core_, &word) != 1) return std::nullopt;
    return unpack(word);
  }
  // No more values: receivers get what is left, then nothing. Closing twice ends the program.
  void close() { detail::stacktide_chan_close(core_); }

  std::size_t size() const { return detail::stacktide_chan_len(core_); }
  std::size_t capacity() const { return detail::stacktide_chan_cap(core_); }
  // How many goroutines wait to receive from it or to send to it now.
  std::size_t waiting() const { return detail::stacktide_chan_waiting(core_); }
  explicit operator bool() const { return core_ != nullptr; }
  friend bool operator==(const channel& a, const channel& b) { return a.core_ == b.core_; }

  // for (auto& value : channel): until it is closed and empty.
  class iterator {
   public:
    explicit iterator(channel* from) : from_(from) { ++*this; }
    iterator& operator++() {
      value_ = from_->recv();
      return *this;
    }
    T& operator*() { return *value_; }
    struct end_mark {};
    bool operator!=(end_mark) const { return value_.has_value(); }

   private:
    channel* from_;
    std::optional<T> value_;
  };
  iterator begin() { return iterator(this); }
  typename iterator::end_mark end() { return {}; }

 private:
  explicit channel(void* core) : core_(core) {}

  // A value travels as a word: itself, or the address of a heap slot that the sender fills and the receiver empties.
  static constexpr bool kSmall = std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T> && sizeof(T) <= 8;

  static std::uint64_t pack(T&& value) {
    if constexpr (kSmall) {
      std::uint64_t word = 0;
      std::memcpy(&word, &value, sizeof value);
      return word;
    } else {
      return reinterpret_cast<std::uint64_t>(new T(std::move(value)));
    }
  }
  static T unpack(std::uint64_t word) {
    if constexpr (kSmall) {
      T value;
      std::memcpy(&value, &word, sizeof value);
      return value;
    } else {
      const std::unique_ptr<T> slot(reinterpret_cast<T*>(word));
      return std::move(*slot);
    }
  }

  void* core_ = nullptr;
};

}  // namespace stacktide
