#include "symbols/imports.h"

#include <gelf.h>
#include <libelf.h>

namespace stacktide {
namespace {

// Slots that hold a function's address and nothing else.
bool is_function_slot(const GElf_Rela& relocation) {
  const auto type = GELF_R_TYPE(relocation.r_info);
  return type == R_X86_64_GLOB_DAT || type == R_X86_64_JUMP_SLOT;
}

}  // namespace

std::unordered_map<Address, std::string> imported_functions(Image& image, Address load_bias, Memory& memory) {
  std::unordered_map<Address, std::string> names;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(image.elf(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != SHT_RELA || header.sh_entsize == 0) continue;
    Elf_Scn* symbol_section = elf_getscn(image.elf(), header.sh_link);
    GElf_Shdr symbol_header;
    if (symbol_section == nullptr || gelf_getshdr(symbol_section, &symbol_header) == nullptr) continue;
    Elf_Data* relocations = elf_getdata(section, nullptr);
    Elf_Data* symbols = elf_getdata(symbol_section, nullptr);
    if (relocations == nullptr || symbols == nullptr) continue;
    const auto count = static_cast<int>(relocations->d_size / header.sh_entsize);
    for (int i = 0; i < count; ++i) {
      GElf_Rela relocation;
      GElf_Sym symbol;
      if (gelf_getrela(relocations, i, &relocation) == nullptr || !is_function_slot(relocation)) continue;
      if (gelf_getsym(symbols, static_cast<int>(GELF_R_SYM(relocation.r_info)), &symbol) == nullptr) continue;
      const char* name = elf_strptr(image.elf(), symbol_header.sh_link, symbol.st_name);
      if (name == nullptr || *name == '\0') continue;
      if (const auto function = memory.read_value<Address>(load_bias + relocation.r_offset); function && *function != 0)
        names.emplace(*function, name);
    }
  }
  return names;
}

}  // namespace stacktide
