#include "symbols/value.h"

#include <dwarf.h>
#include <fmt/format.h>

#include <cstring>
#include <optional>
#include <string_view>

namespace stacktide {
namespace {

constexpr std::size_t kMaxText = 64;    // characters of a string shown
constexpr std::size_t kMaxScalar = 16;  // bytes; long double
constexpr int kMaxTypedefs = 64;

bool unknown(const Dwarf_Die& type) { return type.addr == nullptr; }

Dwarf_Die type_of(Dwarf_Die& die) {
  Dwarf_Attribute attribute;
  Dwarf_Die type{};
  if (dwarf_attr_integrate(&die, DW_AT_type, &attribute) == nullptr || dwarf_formref_die(&attribute, &type) == nullptr)
    return {};
  return type;
}

// Without typedefs, const, volatile, restrict and atomic.
Dwarf_Die peeled(Dwarf_Die type) {
  for (int i = 0; i < kMaxTypedefs && !unknown(type); ++i) {
    switch (dwarf_tag(&type)) {
      case DW_TAG_typedef:
      case DW_TAG_const_type:
      case DW_TAG_volatile_type:
      case DW_TAG_restrict_type:
      case DW_TAG_atomic_type:
        type = type_of(type);
        break;
      default:
        return type;
    }
  }
  return {};
}

std::uint64_t size_of(Dwarf_Die& type) {
  Dwarf_Word size = 0;
  return dwarf_aggregate_size(&type, &size) == 0 ? size : 0;
}

std::string quoted(std::span<const std::byte> bytes, bool cut) {
  std::string text = "\"";
  for (std::byte byte : bytes) {
    auto c = static_cast<unsigned char>(byte);
    switch (c) {
      case '"':
        text += "\\\"";
        break;
      case '\\':
        text += "\\\\";
        break;
      case '\n':
        text += "\\n";
        break;
      case '\t':
        text += "\\t";
        break;
      default:
        if (c < 0x20 || c == 0x7f) text += fmt::format("\\{:03o}", c);
        else text += static_cast<char>(c);
    }
  }
  return text + (cut ? "\"..." : "\"");
}

std::string character(std::int64_t value) {
  if (value == '\'' || value == '\\') return fmt::format("{} '\\{}'", value, static_cast<char>(value));
  if (value >= 0x20 && value < 0x7f) return fmt::format("{} '{}'", value, static_cast<char>(value));
  return fmt::format("{} '\\{:03o}'", value, static_cast<unsigned>(value) & 0xffU);
}

// The member of that name, own or inherited from the first levels of bases; sets its offset in the object.
std::optional<Dwarf_Die> member(Dwarf_Die aggregate, std::string_view name, std::uint64_t& offset, int depth = 0) {
  constexpr int kMaxBases = 8;
  Dwarf_Die child;
  if (depth > kMaxBases || unknown(aggregate) || dwarf_child(&aggregate, &child) != 0) return std::nullopt;
  do {
    int tag = dwarf_tag(&child);
    if (tag != DW_TAG_member && tag != DW_TAG_inheritance) continue;
    Dwarf_Attribute attribute;
    Dwarf_Word at = 0;
    if (dwarf_formudata(dwarf_attr(&child, DW_AT_data_member_location, &attribute), &at) != 0) continue;
    if (tag == DW_TAG_inheritance) {
      std::uint64_t inner = 0;
      if (auto found = member(peeled(type_of(child)), name, inner, depth + 1)) {
        offset = at + inner;
        return found;
      }
      continue;
    }
    const char* own = dwarf_diename(&child);
    if (own == nullptr || name != own) continue;
    offset = at;
    return child;
  } while (dwarf_siblingof(&child, &child) == 0);
  return std::nullopt;
}

class Formatter {
 public:
  explicit Formatter(const EvaluationContext& context) : context_(context) {}

  std::string format(const Location& location, Dwarf_Die declared) {
    Dwarf_Die type = peeled(declared);
    if (unknown(type)) return "...";
    switch (dwarf_tag(&type)) {
      case DW_TAG_base_type:
        return scalar(location, type, [&](auto bytes) { return base(bytes, type); });
      case DW_TAG_enumeration_type:
        return scalar(location, type, [&](auto bytes) { return enumerator(bytes, type); });
      case DW_TAG_pointer_type:
      case DW_TAG_ptr_to_member_type:
        return scalar(
            location, type, [&](auto bytes) { return pointer(integer(bytes, false), type); }, sizeof(std::uint64_t));
      case DW_TAG_unspecified_type:
        return "nullptr";
      case DW_TAG_reference_type:
      case DW_TAG_rvalue_reference_type:
        return scalar(
            location, type, [&](auto bytes) { return reference(integer(bytes, false), type); }, sizeof(std::uint64_t));
      case DW_TAG_class_type:
      case DW_TAG_structure_type:
        if (location.kind != Location::Kind::memory) return "...";
        return text_object(location.value, type).value_or("...");
      default:
        return "...";
    }
  }

 private:
  // Reads a value of the type's size and hands its bytes on.
  template <class Show>
  std::string scalar(const Location& location, Dwarf_Die& type, Show show, std::uint64_t fixed_size = 0) {
    std::uint64_t size = fixed_size != 0 ? fixed_size : size_of(type);
    if (size == 0 || size > kMaxScalar) return "...";
    std::array<std::byte, kMaxScalar> buffer{};
    std::span<std::byte> bytes(buffer.data(), size);
    switch (location.kind) {
      case Location::Kind::memory: {
        auto done = context_.memory.read(location.value, bytes);
        if (!done) return fmt::format("<unreadable 0x{:x}>", done.error().address);
        break;
      }
      case Location::Kind::register_: {
        std::optional<std::uint64_t> value;
        if (location.value < kRegisterCount) value = context_.frame.registers.get(static_cast<Register>(location.value));
        if (!value || size > sizeof(*value)) return "<unavailable>";
        std::memcpy(bytes.data(), &*value, size);
        break;
      }
      case Location::Kind::value:
        if (size > sizeof(location.value)) return "...";
        std::memcpy(bytes.data(), &location.value, size);
        break;
      case Location::Kind::bytes:
        if (location.bytes.size() < size) return "...";
        std::memcpy(bytes.data(), location.bytes.data(), size);
        break;
    }
    return show(std::span<const std::byte>(bytes));
  }

  static std::uint64_t integer(std::span<const std::byte> bytes, bool is_signed) {
    std::uint64_t value = 0;
    std::size_t size = std::min(bytes.size(), sizeof(value));
    std::memcpy(&value, bytes.data(), size);
    if (is_signed && size < sizeof(value)) {
      std::uint64_t sign = std::uint64_t{1} << (size * 8 - 1);
      value = (value ^ sign) - sign;
    }
    return value;
  }

  static std::string base(std::span<const std::byte> bytes, Dwarf_Die& type) {
    Dwarf_Attribute attribute;
    Dwarf_Word encoding = 0;
    if (dwarf_formudata(dwarf_attr_integrate(&type, DW_AT_encoding, &attribute), &encoding) != 0) return "...";
    switch (encoding) {
      case DW_ATE_boolean: {
        std::uint64_t value = integer(bytes, false);
        return value > 1 ? fmt::format("{}", value) : value != 0 ? "true" : "false";
      }
      case DW_ATE_signed_char:
        return character(static_cast<std::int64_t>(integer(bytes, true)));
      case DW_ATE_unsigned_char:
      case DW_ATE_UTF:
        return character(static_cast<std::int64_t>(integer(bytes, false)));
      case DW_ATE_signed:
        return bytes.size() > 8 ? "..." : fmt::format("{}", static_cast<std::int64_t>(integer(bytes, true)));
      case DW_ATE_unsigned:
        return bytes.size() > 8 ? "..." : fmt::format("{}", integer(bytes, false));
      case DW_ATE_address:
        return fmt::format("0x{:x}", integer(bytes, false));
      case DW_ATE_float:
        return floating(bytes);
      default:
        return "...";
    }
  }

  template <class T>
  static std::string floating_as(std::span<const std::byte> bytes) {
    T value{};
    std::memcpy(&value, bytes.data(), std::min(sizeof(value), bytes.size()));
    return fmt::format("{}", value);
  }
  static std::string floating(std::span<const std::byte> bytes) {
    switch (bytes.size()) {
      case sizeof(float):
        return floating_as<float>(bytes);
      case sizeof(double):
        return floating_as<double>(bytes);
      case sizeof(long double):
        return floating_as<long double>(bytes);
      default:
        return "...";
    }
  }

  static std::string enumerator(std::span<const std::byte> bytes, Dwarf_Die& type) {
    std::uint64_t wanted = integer(bytes, false);
    std::uint64_t mask = bytes.size() >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (bytes.size() * 8)) - 1;
    Dwarf_Attribute attribute;
    bool scoped = dwarf_hasattr_integrate(&type, DW_AT_enum_class) != 0;
    const char* scope = dwarf_diename(&type);
    Dwarf_Die child;
    if (dwarf_child(&type, &child) == 0) {
      do {
        if (dwarf_tag(&child) != DW_TAG_enumerator) continue;
        Dwarf_Sword value = 0;
        if (dwarf_formsdata(dwarf_attr(&child, DW_AT_const_value, &attribute), &value) != 0) continue;
        const char* name = dwarf_diename(&child);
        if ((static_cast<std::uint64_t>(value) & mask) != wanted || name == nullptr) continue;
        return scoped && scope != nullptr ? fmt::format("{}::{}", scope, name) : std::string(name);
      } while (dwarf_siblingof(&child, &child) == 0);
    }
    return fmt::format("{}", wanted);
  }

  std::string pointer(std::uint64_t value, Dwarf_Die& type) {
    std::string text = fmt::format("0x{:x}", value);
    Dwarf_Die target = type_of(type);
    target = unknown(target) ? target : peeled(target);
    if (value == 0 || unknown(target) || dwarf_tag(&target) != DW_TAG_base_type) return text;
    Dwarf_Attribute attribute;
    Dwarf_Word encoding = 0;
    if (dwarf_formudata(dwarf_attr_integrate(&target, DW_AT_encoding, &attribute), &encoding) != 0 ||
        encoding != DW_ATE_signed_char || size_of(target) != 1)
      return text;
    std::array<std::byte, kMaxText + 1> buffer{};
    std::size_t got = context_.memory.read_up_to(value, buffer);
    std::span<const std::byte> bytes(buffer.data(), got);
    auto zero = std::find(bytes.begin(), bytes.end(), std::byte{0});
    if (zero == bytes.end() && got < buffer.size()) return text;  // no string: it runs into a hole
    auto length = static_cast<std::size_t>(zero - bytes.begin());
    bool cut = length > kMaxText;
    return text + " " + quoted(bytes.first(std::min(length, kMaxText)), cut);
  }

  std::string reference(std::uint64_t value, Dwarf_Die& type) {
    Dwarf_Die target = peeled(type_of(type));
    if (!unknown(target))
      if (auto text = text_object(value, target)) return *text;
    return fmt::format("0x{:x}", value);
  }

  // std::string and std::string_view of libstdc++, by the names and places of their members.
  std::optional<std::string> text_object(Address object, Dwarf_Die& type) {
    const char* name = dwarf_diename(&type);
    if (name == nullptr) return std::nullopt;
    std::string_view full = name;
    std::uint64_t text = 0;
    std::uint64_t length = 0;
    if (full.starts_with("basic_string<char,") || full == "basic_string<char>") {
      auto holder = member(type, "_M_dataplus", text);
      std::uint64_t inner = 0;
      if (!holder || !member(peeled(type_of(*holder)), "_M_p", inner) || !member(type, "_M_string_length", length))
        return std::nullopt;
      text += inner;
    } else if (full.starts_with("basic_string_view<char,") || full == "basic_string_view<char>") {
      if (!member(type, "_M_str", text) || !member(type, "_M_len", length)) return std::nullopt;
    } else {
      return std::nullopt;
    }
    auto start = context_.memory.read_value<std::uint64_t>(object + text);
    auto size = context_.memory.read_value<std::uint64_t>(object + length);
    if (!start || !size) return fmt::format("<unreadable 0x{:x}>", !start ? start.error().address : size.error().address);
    std::array<std::byte, kMaxText> buffer{};
    std::span<std::byte> bytes(buffer.data(), std::min<std::uint64_t>(*size, kMaxText));
    auto done = context_.memory.read(*start, bytes);
    if (!done) return fmt::format("<unreadable 0x{:x}>", done.error().address);
    return quoted(bytes, *size > kMaxText);
  }

  const EvaluationContext& context_;
};

}  // namespace

std::string format_value(const Location& location, Dwarf_Die type, const EvaluationContext& context) {
  return Formatter(context).format(location, type);
}

}  // namespace stacktide
