// What CFI says of a frame at one place of the code: where its CFA is, and where it keeps the caller's registers.
#pragma once

#include <elfutils/libdw.h>

#include <array>
#include <cstdint>
#include <optional>

#include "stacktide/stack_map.h"

namespace stacktide::link {

struct FrameRules {
  std::uint8_t cfa = STACKTIDE_CFA_RSP;
  std::int32_t offset = 0;
  // Of STACKTIDE_MAP_REGISTERS: the word, counted down from the CFA, that holds the caller's; -1: the register is not saved.
  std::array<std::int32_t, STACKTIDE_MAP_REGISTER_COUNT> slots{-1, -1, -1, -1, -1, -1};
};

class FrameTable {
 public:
  // nullopt when the program has no .eh_frame.
  static std::optional<FrameTable> open(Elf* elf);
  // nullopt for a frame that a stack map cannot describe.
  std::optional<FrameRules> rules_at(std::uint64_t pc) const;

 private:
  explicit FrameTable(Dwarf_CFI* cfi) : cfi_(cfi) {}
  Dwarf_CFI* cfi_;  // owned by the Elf
};

}  // namespace stacktide::link
