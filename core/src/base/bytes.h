// Checked access to untrusted bytes: fixed-size values at an offset, and hexadecimal text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

namespace stacktide {

// The value at `offset`, or nothing when it does not lie wholly inside `bytes`. Alignment does not matter.
template <class T>
  requires std::is_trivially_copyable_v<T>
std::optional<T> load(std::span<const std::byte> bytes, std::uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// The part of `bytes` from `offset` on, at most `size` long; shorter, or empty, where there is less.
inline std::span<const std::byte> slice(std::span<const std::byte> bytes, std::uint64_t offset, std::uint64_t size) {
  if (offset >= bytes.size()) return {};
  const std::uint64_t rest = bytes.size() - offset;
  return bytes.subspan(offset, size < rest ? size : rest);
}

// Lower-case hexadecimal digits, two per byte.
inline std::string to_hex(std::span<const std::byte> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4U];
    text += kDigits[std::to_integer<unsigned>(byte) & 15U];
  }
  return text;
}

// Whether [offset, offset + size) lies in [0, limit), without overflow.
constexpr bool fits(std::uint64_t offset, std::uint64_t size, std::uint64_t limit) {
  return offset <= limit && size <= limit - offset;
}

}  // namespace stacktide
