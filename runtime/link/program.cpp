#include "program.h"

#include <algorithm>
#include <cstring>

#include "instruction.h"

namespace stacktide::link {

Program::Program(const Object& object) : object_(object) {
  for (std::size_t i = 1; i < object.symbol_count(); ++i) {
    const Symbol symbol = object.symbol(i);
    if (!symbol.placed || symbol.name.empty()) continue;
    if (symbol.section < object.sections().size() && (object.sections()[symbol.section].sh_flags & SHF_EXECINSTR) == 0)
      continue;
    labels_.emplace_back(symbol.value, symbol.name);
    if (!symbol.function) continue;
    functions_.push_back({symbol.value, symbol.value + symbol.size, symbol.name});
    by_name_.emplace(symbol.name, symbol.value);
  }
  std::ranges::sort(labels_);
  std::ranges::sort(functions_, {}, [](const ProgramFunction& f) { return std::tuple(f.begin, f.end, f.name); });
  read_slots();
}

// GOT entries that are filled when the program starts: which symbol each is for.
void Program::read_slots() {
  const auto sections = object_.sections();
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_RELA || section.sh_entsize != sizeof(Elf64_Rela) || section.sh_link >= sections.size())
      continue;
    const Bytes table = object_.contents(section);
    for (std::size_t at = 0; at + sizeof(Elf64_Rela) <= table.size(); at += sizeof(Elf64_Rela)) {
      Elf64_Rela relocation;
      std::memcpy(&relocation, table.data() + at, sizeof(relocation));
      const auto type = ELF64_R_TYPE(relocation.r_info);
      if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) continue;
      slots_.emplace(relocation.r_offset, object_.symbol_name(sections[section.sh_link], ELF64_R_SYM(relocation.r_info)));
    }
  }
}

Range Program::section(std::string_view name) const {
  for (const Elf64_Shdr& section : object_.sections()) {
    if (object_.section_name(section) == name) return {section.sh_addr, section.sh_addr + section.sh_size};
  }
  return {};
}

Bytes Program::code(std::string_view name) const {
  for (const Elf64_Shdr& section : object_.sections()) {
    if (object_.section_name(section) == name) return object_.contents(section);
  }
  return {};
}

bool Program::is_code(std::uint64_t address) const {
  return std::ranges::any_of(object_.sections(), [&](const Elf64_Shdr& section) {
    return (section.sh_flags & SHF_EXECINSTR) != 0 && address - section.sh_addr < section.sh_size;
  });
}

const ProgramFunction* Program::function_at(std::uint64_t address) const {
  auto after = std::ranges::upper_bound(functions_, address, {}, &ProgramFunction::begin);
  if (after == functions_.begin()) return nullptr;
  const ProgramFunction& found = *std::prev(after);
  return address < found.end || address == found.begin ? &found : nullptr;
}

std::vector<std::string_view> Program::names_at(std::uint64_t address) const {
  std::vector<std::string_view> names;
  for (const auto& [place, name] :
       std::ranges::equal_range(labels_, address, {}, [](const auto& label) { return label.first; }))
    names.push_back(name);
  return names;
}

std::vector<std::uint64_t> Program::addresses_of(std::string_view name) const {
  std::vector<std::uint64_t> addresses;
  const auto [begin, end] = by_name_.equal_range(name);
  for (auto it = begin; it != end; ++it) addresses.push_back(it->second);
  return addresses;
}

std::string_view Program::dynamic_symbol(std::uint64_t slot) const {
  const auto found = slots_.find(slot);
  return found == slots_.end() ? std::string_view{} : found->second;
}

std::optional<std::string_view> Program::stub_target(std::uint64_t address) const {
  for (const Elf64_Shdr& section : object_.sections()) {
    if ((section.sh_flags & SHF_EXECINSTR) == 0 || address - section.sh_addr >= section.sh_size) continue;
    const std::string_view name = object_.section_name(section);
    if (!name.starts_with(".plt") && !name.starts_with(".iplt")) return std::nullopt;
    const Bytes code = object_.contents(section);
    std::uint64_t at = address - section.sh_addr;
    for (int instructions = 0; instructions < 4 && at < code.size();
         ++instructions) {  // endbr64, then a jump through the GOT
      const auto instruction = decode(code.subspan(at));
      if (!instruction) break;
      if (instruction->rip_operand)
        return dynamic_symbol(section.sh_addr + at + static_cast<std::uint64_t>(instruction->target));
      at += instruction->length;
    }
    return std::string_view{};
  }
  return std::nullopt;
}

}  // namespace stacktide::link
