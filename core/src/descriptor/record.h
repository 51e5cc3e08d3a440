// One structure of the target, read by FieldRef. A field that is not exported reads as 0 or empty; Layout has checked the
// rest.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "descriptor/layout.h"

namespace stacktide {

class Record {
 public:
  // `bytes` holds at least the size of the record's type, and outlives the Record.
  explicit Record(std::span<const std::byte> bytes) : bytes_(bytes) {}

  // Zero-extended, or sign-extended when the target says that it is signed.
  std::uint64_t number(const FieldRef& field) const;
  std::int64_t signed_number(const FieldRef& field) const { return static_cast<std::int64_t>(number(field)); }
  // Up to the first zero byte; control characters escaped.
  std::string text(const FieldRef& field) const;
  std::size_t address_count(const FieldRef& field) const { return field.width / 8; }
  Address address_at(const FieldRef& field, std::size_t index) const;

 private:
  std::span<const std::byte> bytes_;
};

// What an enumerator is called; "unknown (7)" for a value without a text.
std::string enum_text(const EnumTexts* texts, std::int64_t value);

}  // namespace stacktide
