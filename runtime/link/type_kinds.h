// Which bytes of a type are scalars for certain, and which may be pointers.
//
// Certain are numbers, enumerators, and arrays and structures of them. Not certain: arrays of char and std::byte, in which
// programs build other objects; vector types, with which they are copied; uintptr_t and intptr_t by name, and whatever is
// unsigned and as long, since `auto` and templates lose that name; unions with anything else than scalars; what has no
// definition. A word that is not certain is treated as a pointer, which is right for real pointers whatever they are called.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "debug_tree.h"

namespace stacktide::link {

enum class ByteKind : std::uint8_t { padding, unknown, scalar, pointer };

struct TypeKinds {
  std::uint64_t size = 0;  // bytes; 0 unknown
  bool scalar = false;     // all bytes but padding are scalars for certain
  bool pointers = false;   // some are pointers for certain
};

class TypeReader {
 public:
  explicit TypeReader(DebugTree& tree) : tree_(tree) {}
  TypeKinds kinds_of(Dwarf_Die type);
  // The kinds of the type's bytes; one unknown byte each where it is larger than kMaxBytes.
  std::vector<ByteKind> bytes_of(Dwarf_Die type);

  static constexpr std::uint64_t kMaxBytes = 1 << 18;

 private:
  void mark(Dwarf_Die type, std::uint64_t at, std::vector<ByteKind>& bytes, int depth);
  void mark_array(Dwarf_Die type, std::uint64_t at, std::vector<ByteKind>& bytes, int depth);
  void mark_class(Dwarf_Die type, std::uint64_t at, std::vector<ByteKind>& bytes, int depth);

  DebugTree& tree_;
  std::unordered_map<const void*, TypeKinds> known_;
};

// Not static: DW_AT_data_member_location of a member or base class in bytes; nullopt for static members and virtual bases.
std::optional<std::uint64_t> member_offset(Dwarf_Die& member);

}  // namespace stacktide::link
