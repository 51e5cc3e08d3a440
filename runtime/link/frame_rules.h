// What CFI says of a frame at one place of the code: where its CFA is, and where it keeps the caller's registers.
#pragma once

#include <elfutils/libdw.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "object.h"
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
  // The error says that the program has no .eh_frame.
  static Result<FrameTable> open(const std::filesystem::path& program);
  FrameTable(FrameTable&& other) noexcept;
  FrameTable& operator=(FrameTable&&) = delete;
  ~FrameTable();
  // nullopt for a frame that a stack map cannot describe.
  std::optional<FrameRules> rules_at(std::uint64_t pc) const;

 private:
  FrameTable(int fd, Elf* elf, Dwarf_CFI* cfi) : fd_(fd), elf_(elf), cfi_(cfi) {}
  int fd_;
  Elf* elf_;
  Dwarf_CFI* cfi_;
};

}  // namespace stacktide::link
