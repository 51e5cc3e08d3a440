// The exported descriptor, read and validated: plain values, nothing of the target's is trusted after this.
//
// Concept. read_descriptor() reads the block of abi.h in one go and checks all of it once: magic, version, sizes, own
// address, checksum, every table inside the block, every name terminated inside the pool, every index and offset inside what
// it refers to. What comes out needs no further check, with one exception: roots are addresses and counts, and whoever walks
// them caps the walk.
//
// Rejected: reading entries lazily (each user would have to check again); dropping bad entries one by one (a block that
// fails one check is not what it says it is).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "stacktide/core/result.h"
#include "stacktide/core/target.h"

namespace stacktide {

struct Descriptor {
  struct Type {
    std::string name;
    std::uint32_t size = 0;  // bytes, 1 to kMaxTypeSize
  };
  struct Field {
    std::uint32_t type = 0;  // index into types
    std::string name;
    std::uint32_t offset = 0;
    std::uint32_t width = 0;
    std::uint32_t kind = 0;  // STACKTIDE_KIND_*; a kind of a later version may be among them
  };
  struct Root {
    std::string name;
    std::uint32_t type = 0;  // index into types, or STACKTIDE_NO_TYPE
    Address address = 0;
    std::uint32_t stride = 0;
    std::uint64_t count = 0;  // the target's word; cap before use
  };

  Address address = 0;
  std::uint32_t abi_major = 0;
  std::uint32_t abi_minor = 0;
  std::vector<Type> types;
  std::vector<Field> fields;
  std::map<std::string, std::map<std::int64_t, std::string>, std::less<>> enums;
  std::map<std::string, std::int64_t, std::less<>> constants;
  std::map<std::string, std::uint32_t, std::less<>> contracts;
  std::vector<Root> roots;

  // The root of that name, or nullptr.
  const Root* root(std::string_view name) const;
};

// The largest structure that a descriptor may describe, so that a record's buffer stays small.
inline constexpr std::uint32_t kMaxTypeSize = 1U << 20;

// Errors: memory_fault (not all of it is there), unsupported_target (byte order, word size), unsupported_contract (ABI
// major), bad_descriptor (anything else; the context says which check failed).
Result<Descriptor> read_descriptor(Memory& memory, Address address);

}  // namespace stacktide
