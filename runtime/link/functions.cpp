#include "functions.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>

namespace stacktide::link {
namespace {

// One `movl $N, %reg` or `xorl %reg, %reg` that ends at `end`, which then moves before it. move and clear: their first
// bytes.
std::optional<std::uint32_t> read_constant(Bytes code, std::uint64_t& end, const unsigned char (&move)[2],
                                           const unsigned char (&clear)[3]) {
  std::uint32_t value = 0;
  if (end >= 3 && std::memcmp(code.data() + end - 3, clear, 3) == 0) {
    end -= 3;
    return value;
  }
  if (end < 6 || std::memcmp(code.data() + end - 6, move, 2) != 0) return std::nullopt;
  std::memcpy(&value, code.data() + end - 4, 4);
  end -= 6;
  return value;
}

}  // namespace

bool read_stack_check(Bytes code, std::uint64_t operand, StackCheck& check) {
  if (operand < 1 || operand > code.size() || code[operand - 1] != std::byte{0xe8}) return false;
  // In either order; in a nested function of C, `movq %r10, %rax` may stand between.
  constexpr unsigned char kKeepChain[3] = {0x4c, 0x89, 0xd0};
  std::optional<std::uint32_t> frame;
  std::optional<std::uint32_t> arguments;
  for (std::uint64_t end = operand - 1; !frame || !arguments;) {
    if (const auto value = read_constant(code, end, {0x41, 0xbb}, {0x45, 0x31, 0xdb}); value && !arguments)
      arguments = value;
    else if (const auto other = read_constant(code, end, {0x41, 0xba}, {0x45, 0x31, 0xd2}); other && !frame) frame = other;
    else if (end >= 3 && std::memcmp(code.data() + end - 3, kKeepChain, 3) == 0) end -= 3;
    else return false;
  }
  check = {*frame, *arguments};
  return true;
}

Functions::Functions(const Object& object) {
  for (std::size_t i = 0; i < object.symbol_count(); ++i) {
    const Symbol symbol = object.symbol(i);
    if (symbol.function && symbol.placed && symbol.size != 0)
      all_.push_back({symbol.section, symbol.value, symbol.value + symbol.size, false, {}});
  }
  // Of functions with two names, such as complete and base constructors, one entry is kept.
  const auto place = [](const Function& f) { return std::tuple(f.section, f.begin, f.end); };
  std::ranges::sort(all_, {}, place);
  const auto same = std::ranges::unique(all_, {}, place);
  all_.erase(same.begin(), same.end());
  read_checks(object);
}

void Functions::read_checks(const Object& object) {
  // Whether the file is damaged is said by who asks for its calls.
  (void)object.each_code_relocation([&](std::size_t section, Bytes code, const Elf64_Rela& relocation) {
    if (object.symbol(ELF64_R_SYM(relocation.r_info)).name != "__morestack") return;
    const std::size_t found = index_at(section, relocation.r_offset);
    if (found != all_.size()) all_[found].checked = read_stack_check(code, relocation.r_offset, all_[found].check);
  });
}

std::size_t Functions::index_at(std::size_t section, std::uint64_t offset) const {
  const auto after = std::ranges::upper_bound(all_, std::tuple(section, offset), {},
                                              [](const Function& f) { return std::tuple(f.section, f.begin); });
  if (after == all_.begin()) return all_.size();
  const auto found = std::prev(after);
  return found->section == section && offset < found->end ? static_cast<std::size_t>(found - all_.begin()) : all_.size();
}

const Function* Functions::at(std::size_t section, std::uint64_t offset) const {
  const std::size_t index = index_at(section, offset);
  return index == all_.size() ? nullptr : &all_[index];
}

}  // namespace stacktide::link
