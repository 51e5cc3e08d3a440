#include "type_kinds.h"

#include <dwarf.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace stacktide::link {
namespace {

constexpr int kMaxDepth = 64;

// Integers that are meant to hold addresses, whatever they are made from.
bool holds_address_by_name(Dwarf_Die type) {
  constexpr std::array<std::string_view, 4> kNames = {"uintptr_t", "intptr_t", "__uintptr_t", "__intptr_t"};
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    const int tag = dwarf_tag(&type);
    if (tag == DW_TAG_typedef && std::ranges::find(kNames, name_of(type)) != kNames.end()) return true;
    if (tag != DW_TAG_typedef && tag != DW_TAG_const_type && tag != DW_TAG_volatile_type) return false;
    const auto next = type_of(type);
    if (!next) return false;
    type = *next;
  }
  return true;
}

std::uint64_t size_of(Dwarf_Die type) {
  Dwarf_Word size = 0;
  return dwarf_aggregate_size(&type, &size) == 0 ? size : 0;
}

void fill(std::vector<ByteKind>& bytes, std::uint64_t at, std::uint64_t size, ByteKind kind) {
  for (std::uint64_t i = at; i < at + size && i < bytes.size(); ++i) bytes[i] = kind;
}

ByteKind kind_of_base(Dwarf_Die& type) {
  Dwarf_Attribute attribute;
  Dwarf_Word encoding = 0;
  if (dwarf_formudata(dwarf_attr(&type, DW_AT_encoding, &attribute), &encoding) != 0) return ByteKind::unknown;
  switch (encoding) {
    case DW_ATE_boolean:
    case DW_ATE_complex_float:
    case DW_ATE_float:
    case DW_ATE_signed_char:
    case DW_ATE_unsigned_char:
    case DW_ATE_UTF:
      return ByteKind::scalar;
    case DW_ATE_signed:
      return size_of(type) <= 8 ? ByteKind::scalar : ByteKind::unknown;
    case DW_ATE_unsigned:
      // What is deduced as uintptr_t, or is a template's argument, has lost that name.
      return size_of(type) < 8 ? ByteKind::scalar : ByteKind::unknown;
    default:
      return ByteKind::unknown;
  }
}

// The bytes that a bit-field touches; nullopt: it is none.
std::optional<std::uint64_t> bit_field_bytes(Dwarf_Die& member) {
  Dwarf_Attribute attribute;
  Dwarf_Word bits = 0;
  Dwarf_Word offset = 0;
  if (dwarf_formudata(dwarf_attr(&member, DW_AT_bit_size, &attribute), &bits) != 0) return std::nullopt;
  if (dwarf_formudata(dwarf_attr(&member, DW_AT_data_bit_offset, &attribute), &offset) != 0)
    return 0;  // DWARF 3: not believed
  return (offset % 8 + bits + 7) / 8;
}

// A class without data: its byte is padding, and nothing in it can be anything.
bool is_empty(Dwarf_Die type) {
  auto real = peeled(type);
  if (!real || !is_class(*real) || flag_of(*real, DW_AT_declaration)) return false;
  bool empty = true;
  each_child(*real, [&](Dwarf_Die& child) {
    const int tag = dwarf_tag(&child);
    if (tag == DW_TAG_inheritance || (tag == DW_TAG_member && member_offset(child))) empty = false;
  });
  return empty;
}

}  // namespace

std::optional<std::uint64_t> member_offset(Dwarf_Die& member) {
  Dwarf_Attribute attribute;
  Dwarf_Word offset = 0;
  if (flag_of(member, DW_AT_external) || flag_of(member, DW_AT_declaration)) return std::nullopt;
  if (dwarf_attr(&member, DW_AT_data_member_location, &attribute) != nullptr) {
    if (dwarf_formudata(&attribute, &offset) != 0) return std::nullopt;  // an expression: a virtual base
    return offset;
  }
  if (dwarf_formudata(dwarf_attr(&member, DW_AT_data_bit_offset, &attribute), &offset) == 0) return offset / 8;
  return 0;  // of a union
}

void TypeReader::mark_array(Dwarf_Die type, std::uint64_t at, std::vector<ByteKind>& bytes, int depth) {
  const std::uint64_t size = size_of(type);
  if (flag_of(type, DW_AT_GNU_vector)) return fill(bytes, at, size, ByteKind::unknown);  // of bytes, as it were
  const auto element = type_of(type);
  const std::uint64_t step = element ? size_of(*element) : 0;
  if (step <= 1 || size == 0) return fill(bytes, at, size == 0 ? bytes.size() : size, ByteKind::unknown);
  const TypeKinds kinds = kinds_of(*element);
  if (kinds.scalar) return fill(bytes, at, size, ByteKind::scalar);
  for (std::uint64_t i = 0; i + step <= size && at + i < bytes.size(); i += step) mark(*element, at + i, bytes, depth + 1);
}

void TypeReader::mark_class(Dwarf_Die type, std::uint64_t at, std::vector<ByteKind>& bytes, int depth) {
  const std::uint64_t size = size_of(type);
  if (dwarf_tag(&type) == DW_TAG_union_type) {
    bool scalar = true;
    each_child(type, [&](Dwarf_Die& member) {
      if (dwarf_tag(&member) != DW_TAG_member || !member_offset(member)) return;
      const auto inner = type_of(member);
      scalar = scalar && inner && (kinds_of(*inner).scalar || is_empty(*inner));
    });
    return fill(bytes, at, size, scalar && size != 0 ? ByteKind::scalar : ByteKind::unknown);
  }
  each_child(type, [&](Dwarf_Die& member) {
    const int tag = dwarf_tag(&member);
    if (tag != DW_TAG_member && tag != DW_TAG_inheritance) return;
    const auto inner = type_of(member);
    const auto offset = member_offset(member);
    if (const auto bits = bit_field_bytes(member); bits && offset) return fill(bytes, at + *offset, *bits, ByteKind::scalar);
    if (tag == DW_TAG_inheritance && !offset) return fill(bytes, at, size, ByteKind::unknown);
    if (inner && offset) mark(*inner, at + *offset, bytes, depth + 1);
  });
}

void TypeReader::mark(Dwarf_Die type, std::uint64_t at, std::vector<ByteKind>& bytes, int depth) {
  const std::uint64_t size = size_of(type);
  const auto inner = peeled(type);
  if (!inner || depth > kMaxDepth || size == 0 || holds_address_by_name(type))
    return fill(bytes, at, std::max<std::uint64_t>(size, 8), ByteKind::unknown);
  Dwarf_Die real = *inner;
  switch (dwarf_tag(&real)) {
    case DW_TAG_base_type:
      return fill(bytes, at, size, kind_of_base(real));
    case DW_TAG_enumeration_type: {
      const auto underlying = type_of(real);
      auto base = underlying ? peeled(*underlying) : std::nullopt;
      return fill(bytes, at, size, base ? kind_of_base(*base) : size < 8 ? ByteKind::scalar : ByteKind::unknown);
    }
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
      return fill(bytes, at, size, ByteKind::pointer);
    case DW_TAG_array_type:
      return mark_array(real, at, bytes, depth);
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
      if (flag_of(real, DW_AT_declaration)) {
        const auto definition = tree_.definition_of(real);
        if (!definition) return fill(bytes, at, size, ByteKind::unknown);
        real = *definition;
      }
      return mark_class(real, at, bytes, depth);
    default:
      return fill(bytes, at, size, ByteKind::unknown);
  }
}

std::vector<ByteKind> TypeReader::bytes_of(Dwarf_Die type) {
  const std::uint64_t size = size_of(type);
  if (size == 0 || size > kMaxBytes) return {};
  std::vector<ByteKind> bytes(size, ByteKind::padding);
  mark(type, 0, bytes, 0);
  return bytes;
}

TypeKinds TypeReader::kinds_of(Dwarf_Die type) {
  const auto found = known_.find(type.addr);
  if (found != known_.end()) return found->second;
  known_[type.addr] = {};  // of a type that contains itself, which only damage can do
  TypeKinds kinds;
  kinds.size = size_of(type);
  if (auto real = peeled(type); real && dwarf_tag(&*real) == DW_TAG_array_type) {
    // However large.
    const auto element = type_of(*real);
    if (element && !flag_of(*real, DW_AT_GNU_vector) && size_of(*element) > 1 && kinds.size != 0 &&
        kinds_of(*element).scalar) {
      kinds.scalar = true;
      return known_[type.addr] = kinds;
    }
  }
  const auto bytes = bytes_of(type);
  const auto has = [&](ByteKind kind) { return std::ranges::find(bytes, kind) != bytes.end(); };
  kinds.pointers = has(ByteKind::pointer);
  kinds.scalar = has(ByteKind::scalar) && !kinds.pointers && !has(ByteKind::unknown);
  return known_[type.addr] = kinds;
}

}  // namespace stacktide::link
