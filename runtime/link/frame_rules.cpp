#include "frame_rules.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <libelf.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace stacktide::link {
namespace {

constexpr unsigned kRbp = 6;
constexpr unsigned kRsp = 7;
constexpr unsigned kRip = 16;
constexpr std::array<unsigned, STACKTIDE_MAP_REGISTER_COUNT> kRegisters = STACKTIDE_MAP_REGISTERS;

struct Free {
  void operator()(Dwarf_Frame* frame) const { std::free(frame); }
};

// The word at CFA + offset that holds the caller's register; nullopt: some other rule. -1: it is not saved.
std::optional<std::int32_t> slot_of(Dwarf_Frame* frame, unsigned reg) {
  Dwarf_Op memory[3];
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (dwarf_frame_register(frame, static_cast<int>(reg), memory, &operations, &count) != 0) return std::nullopt;
  if (count == 0) return -1;  // the caller's own, or lost
  if (operations[0].atom != DW_OP_call_frame_cfa || count != 2 || operations[1].atom != DW_OP_plus_uconst)
    return std::nullopt;
  const auto offset = static_cast<std::int64_t>(operations[1].number);
  if (offset >= 0 || offset % 8 != 0 || offset < -(std::int64_t{8} << 14)) return std::nullopt;
  return static_cast<std::int32_t>(-offset / 8 - 1);
}

}  // namespace

Result<FrameTable> FrameTable::open(const std::filesystem::path& program) {
  const int fd = ::open(program.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(program.string() + ": " + std::strerror(errno));
  elf_version(EV_CURRENT);
  Elf* elf = elf_begin(fd, ELF_C_READ_MMAP, nullptr);
  Dwarf_CFI* cfi = elf != nullptr ? dwarf_getcfi_elf(elf) : nullptr;
  FrameTable table(fd, elf, cfi);
  if (cfi == nullptr) return std::unexpected(program.string() + ": no .eh_frame, which says how frames are unwound");
  return table;
}

FrameTable::FrameTable(FrameTable&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      elf_(std::exchange(other.elf_, nullptr)),
      cfi_(std::exchange(other.cfi_, nullptr)) {}

FrameTable::~FrameTable() {
  if (cfi_ != nullptr) dwarf_cfi_end(cfi_);
  if (elf_ != nullptr) elf_end(elf_);
  if (fd_ >= 0) ::close(fd_);
}

std::optional<FrameRules> FrameTable::rules_at(std::uint64_t pc) const {
  Dwarf_Frame* raw = nullptr;
  if (dwarf_cfi_addrframe(cfi_, pc, &raw) != 0) return std::nullopt;
  const std::unique_ptr<Dwarf_Frame, Free> frame(raw);
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (dwarf_frame_cfa(raw, &operations, &count) != 0 || count == 0) return std::nullopt;
  FrameRules rules;
  if (operations[0].atom == DW_OP_bregx && count == 1 && operations[0].number == kRsp) {
    rules.cfa = STACKTIDE_CFA_RSP;
    rules.offset = static_cast<std::int32_t>(operations[0].number2);
  } else if (operations[0].atom == DW_OP_bregx && count == 1 && operations[0].number == kRbp) {
    rules.cfa = STACKTIDE_CFA_RBP;
    rules.offset = static_cast<std::int32_t>(operations[0].number2);
  } else if (count == 2 && operations[0].atom == DW_OP_breg6 && operations[1].atom == DW_OP_deref) {
    // A frame that aligns the stack keeps its CFA below rbp, where it saved the caller's rbp. All else in it is at distances
    // from the CFA that differ from call to call.
    rules.cfa = STACKTIDE_CFA_AT_RBP;
    rules.offset = static_cast<std::int32_t>(operations[0].number);
    return rules;
  } else {
    return std::nullopt;
  }
  if (slot_of(raw, kRip) != 0) return std::nullopt;
  for (std::size_t i = 0; i < kRegisters.size(); ++i) {
    const auto slot = slot_of(raw, kRegisters[i]);
    if (!slot) return std::nullopt;
    rules.slots[i] = *slot;
  }
  return rules;
}

}  // namespace stacktide::link
