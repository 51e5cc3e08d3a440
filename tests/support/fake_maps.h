// Stack maps put together by hand, as stack_map.h describes them. Whatever a test wants wrong, it makes wrong in the blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "stacktide/core/target.h"
#include "stacktide/stack_map.h"

namespace stacktide::test {

struct FakeVariable {
  std::string name;
  std::string type;
  std::int32_t offset = 0;
  std::uint32_t size = 8;
  std::uint16_t kind = STACKTIDE_WORD_UNKNOWN;
  std::uint16_t reg = STACKTIDE_IN_MEMORY;
};

struct FakeSite {
  std::uint32_t pc = 0;  // from the region's first byte
  std::uint8_t cfa = STACKTIDE_CFA_RSP;
  std::int32_t offset = 8;
  std::uint8_t flags = 0;
  std::vector<std::pair<unsigned, std::uint16_t>> saved{};  // index of the register, ascending, and word
  std::vector<std::pair<unsigned, unsigned>> runs{};        // kind and count
  std::uint32_t scalars = 0;                                // registers, by index
  std::uint32_t pointers = 0;
  std::vector<FakeVariable> variables{};
  bool no_shape = false;
};

struct FakePin {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::string name;
  std::string type;
};

// One region of code.
struct FakeMaps {
  Address code = 0x400000;
  std::uint32_t code_size = 0x10000;
  std::vector<FakeSite> sites;  // by pc
  std::vector<FakePin> pins;

  std::vector<std::byte> maps(Address address) const;
  std::vector<std::byte> names() const;
};

// A value at an offset of a block, to be changed.
template <class T>
T& at(std::vector<std::byte>& block, std::size_t offset) {
  return *reinterpret_cast<T*>(block.data() + offset);
}

}  // namespace stacktide::test
