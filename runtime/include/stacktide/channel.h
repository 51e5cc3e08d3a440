// channel<T>: goroutines hand values to each other.
//
// A channel is a handle: copy it, capture it by value, never by reference. The last handle frees what is left inside. As
// with a pointer, a constant handle may do all that another may.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "stacktide/detail/entries.h"
#include "stacktide/detail/shared_core.h"
#include "stacktide/detail/value_word.h"

namespace stacktide {

namespace detail {
struct core_access;
}

template <class T>
class channel {
  using word = detail::value_word<T>;

 public:
  using value_type = T;

  // A handle to no channel: sending and receiving wait forever, as on Go's nil channel.
  channel() = default;
  // A new channel that holds up to `capacity` values; 0: a sender waits for its receiver.
  static channel make(std::size_t capacity = 0) { return channel(detail::stacktide_chan_make(capacity)); }

  channel(const channel& other) : core_(other.core_) {
    if (core_ != nullptr) static_cast<detail::shared_core*>(core_)->retain();
  }
  channel(channel&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  channel& operator=(channel other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~channel() {
    if (core_ == nullptr || !static_cast<detail::shared_core*>(core_)->release()) return;
    while (try_recv()) {
    }
    detail::stacktide_chan_free(core_);
  }

  // Waits until the value is taken or stored. On a closed channel, or when it is closed meanwhile, the program ends ("send
  // on closed channel"). This and the other senders are inlined, so that an address that escapes is reported at the caller's
  // line.
  [[gnu::always_inline]] inline void send(T value) const {
    if (detail::stacktide_chan_send(core_, word::pack(std::move(value))) == 0) detail::stacktide_chan_send_closed();
  }
  // Waits for a value; nothing when the channel is closed and empty. Inlined, so that the caller's frame is the one that
  // waits.
  [[gnu::always_inline]] inline std::optional<T> recv() const {
    const detail::two_words got = detail::stacktide_chan_recv(core_);
    if (got.second == 0) return std::nullopt;
    return word::unpack(got.first);
  }
  // Sends if that needs no waiting; else `value` stays what it was (unless moving it back could throw: then it is lost).
  [[gnu::always_inline]] inline bool try_send(T&& value) const {
    const std::uint64_t packed = word::pack(std::move(value));
    if (detail::stacktide_chan_try_send(core_, packed) != 0) return true;
    word::give_back(packed, value);
    return false;
  }
  [[gnu::always_inline]] inline bool try_send(const T& value) const {
    const std::uint64_t packed = word::pack(value);
    if (detail::stacktide_chan_try_send(core_, packed) != 0) return true;
    word::drop(packed);
    return false;
  }
  // Receives if that needs no waiting.
  std::optional<T> try_recv() const {
    std::uint64_t packed = 0;
    if (detail::stacktide_chan_try_recv(core_, &packed) != 1) return std::nullopt;
    return word::unpack(packed);
  }
  // No more values: receivers get what is left, then nothing. Closing twice ends the program.
  void close() const { detail::stacktide_chan_close(core_); }

  std::size_t size() const { return detail::stacktide_chan_len(core_); }
  std::size_t capacity() const { return detail::stacktide_chan_cap(core_); }
  // How many goroutines wait to receive from it or to send to it now; a select counts once for each of its cases.
  std::size_t waiting() const { return detail::stacktide_chan_waiting(core_); }
  explicit operator bool() const { return core_ != nullptr; }
  friend bool operator==(const channel& a, const channel& b) { return a.core_ == b.core_; }

  // for (auto& value : channel): until it is closed and empty.
  class iterator {
   public:
    explicit iterator(const channel* from) : from_(from) { ++*this; }
    iterator& operator++() {
      value_ = from_->recv();
      return *this;
    }
    T& operator*() { return *value_; }
    struct end_mark {};
    bool operator!=(end_mark) const { return value_.has_value(); }

   private:
    const channel* from_;
    std::optional<T> value_;
  };
  iterator begin() const { return iterator(this); }
  typename iterator::end_mark end() const { return {}; }

 private:
  explicit channel(void* core) : core_(core) {}
  friend struct detail::core_access;

  void* core_ = nullptr;
};

template <class T>
inline constexpr bool detail::is_handle<channel<T>> = true;

}  // namespace stacktide
