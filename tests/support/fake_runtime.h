// A goroutine runtime made of bytes: a descriptor with all of abi.h's vocabulary, and the structures that it describes, put
// into FakeMemory. Whatever a test wants wrong, it makes wrong before place().
//
// The layout is none that a compiler would choose (fields in order, each type beginning with 8 unused bytes), so that a
// reader that assumes offsets fails here.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "stacktide/abi.h"
#include "support/fake_memory.h"

namespace stacktide::test {

// The block of abi.h, table by table.
struct DescriptorImage {
  Address address = 0x10000;
  std::vector<stacktide_type> types;
  std::vector<stacktide_field> fields;
  std::vector<stacktide_enum> enums;
  std::vector<stacktide_constant> constants;
  std::vector<stacktide_contract> contracts;
  std::vector<stacktide_root> roots;
  std::string names = std::string(1, '\0');  // offset 0: the empty name

  std::uint32_t name(const std::string& text);  // offset of a new name in the pool
  std::uint32_t type_index(const std::string& name) const;
  stacktide_field& field(const std::string& type, const std::string& name);
  stacktide_root& root(const std::string& name);
  stacktide_contract& contract(const std::string& name);
  void remove_field(const std::string& type, const std::string& name);
  // A valid header, all tables, a right checksum.
  std::vector<std::byte> encode() const;
};
// For blocks that are changed after encode().
stacktide_header& header_of(std::vector<std::byte>& block);
void seal(std::vector<std::byte>& block);  // recomputes the checksum

using Values = std::map<std::string, std::uint64_t>;

struct FakeRing {
  std::uint64_t capacity = 8;
  std::uint64_t count = 0;  // ever written; the slots hold what `slots` says
  std::vector<Values> slots;
};

class FakeRuntime {
 public:
  FakeRuntime();

  DescriptorImage image;
  std::vector<Values> goroutines;             // of one slab
  std::map<std::size_t, std::string> labels;  // by index in goroutines
  std::vector<Values> ms;
  std::vector<Values> ps;
  std::map<std::size_t, std::vector<Address>> run_queues;  // by index in ps, the ring's slots
  Values scheduler;
  std::map<Address, Values> segments;
  std::vector<FakeRing> rings;
  Values stack_maps;  // empty: none
  std::vector<Values> spans;
  std::map<std::uint64_t, Values> stack_cells;  // by number; there are kCells
  static constexpr std::uint64_t kCells = 1000;

  // A goroutine that waits to receive on a channel: 2048 bytes of stack, 312 of them in use.
  static Values parked(std::uint64_t id);
  Address goroutine_address(std::size_t index) const;
  Address m_address(std::size_t index) const;
  Address p_address(std::size_t index) const;
  Address ring_address(std::size_t index) const;
  std::uint32_t size_of(const std::string& type) const;
  static constexpr Address kSlabs = 0x100000;
  static constexpr Address kSlab = 0x200000;
  static constexpr Address kScheduler = 0x500000;

  // Sets the roots to what there is, and writes all of it.
  void place(FakeMemory& memory);
  // One record of a type at an address, as place() writes them.
  void put(FakeMemory& memory, const std::string& type, Address address, const Values& values);

 private:
  std::vector<std::byte> record(const std::string& type, const Values& values);
};

}  // namespace stacktide::test
