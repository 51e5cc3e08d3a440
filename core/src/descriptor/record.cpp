#include "descriptor/record.h"

#include <fmt/format.h>

#include <cstring>

#include "base/printable.h"

namespace stacktide {

std::uint64_t Record::number(const FieldRef& field) const {
  std::uint64_t value = 0;
  if (field.width == 0 || field.width > sizeof value || field.offset + field.width > bytes_.size()) return 0;
  std::memcpy(&value, bytes_.data() + field.offset, field.width);
  if (field.kind == STACKTIDE_KIND_SIGNED && field.width < sizeof value) {
    const unsigned shift = 64 - 8 * field.width;
    value = static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >> shift);
  }
  return value;
}

std::string Record::text(const FieldRef& field) const {
  if (!field || field.offset + field.width > bytes_.size()) return "";
  const auto* begin = reinterpret_cast<const char*>(bytes_.data()) + field.offset;
  return printable(std::string_view(begin, strnlen(begin, field.width)));
}

Address Record::address_at(const FieldRef& field, std::size_t index) const {
  Address value = 0;
  if (index >= address_count(field) || field.offset + field.width > bytes_.size()) return 0;
  std::memcpy(&value, bytes_.data() + field.offset + index * sizeof value, sizeof value);
  return value;
}

std::string enum_text(const EnumTexts* texts, std::int64_t value) {
  if (texts != nullptr) {
    if (const auto found = texts->find(value); found != texts->end()) return found->second;
  }
  return fmt::format("unknown ({})", value);
}

}  // namespace stacktide
