#include "symbols/symbol_table.h"

#include <elf.h>
#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <tuple>

namespace stacktide {
namespace {

// Calls visit(symbol, name) for each entry of the first section of this type, until it returns false.
template <class Visit>
void for_each_symbol(Elf* elf, std::uint32_t type, Visit visit) {
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != type || header.sh_entsize == 0) continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    if (data == nullptr) continue;
    std::size_t count = data->d_size / header.sh_entsize;
    for (std::size_t i = 1; i < count; ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
      const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
      if (name != nullptr && *name != '\0' && !visit(symbol, name)) return;
    }
  }
}

std::uint8_t rank_of(const GElf_Sym& symbol, const char* name) {
  std::uint8_t rank = GELF_ST_TYPE(symbol.st_info) == STT_NOTYPE ? 8 : 0;
  if (GELF_ST_BIND(symbol.st_info) == STB_WEAK) rank += 1;
  if (GELF_ST_BIND(symbol.st_info) == STB_LOCAL) rank += 2;
  // Internal aliases of C libraries: "__GI_raise" beside "raise". Mangled names start with one underscore.
  if (std::strncmp(name, "__", 2) == 0) rank += 4;
  return rank;
}

}  // namespace

SymbolTable::SymbolTable(Image* image, Image* debug, SymbolKind kind) {
  if (image != nullptr) add(*image, kind);
  if (debug != nullptr) add(*debug, kind);
  std::ranges::sort(symbols_, [](const Symbol& a, const Symbol& b) {
    return std::tuple(a.start, a.rank, std::string_view(a.name)) < std::tuple(b.start, b.rank, std::string_view(b.name));
  });
  // One name for one address and size; .symtab and .dynsym repeat each other.
  auto same = [](const Symbol& a, const Symbol& b) { return a.start == b.start && (a.size == b.size || b.size == 0); };
  symbols_.erase(std::unique(symbols_.begin(), symbols_.end(), same), symbols_.end());
  Address reach = 0;
  for (const Symbol& symbol : symbols_) {
    Address end = 0;
    if (__builtin_add_overflow(symbol.start, symbol.size, &end)) end = ~Address{0};
    reach = std::max(reach, end);
    reach_.push_back(reach);
  }
}

void SymbolTable::add(Image& image, SymbolKind wanted) {
  const bool functions = wanted == SymbolKind::function;
  std::vector<bool> sections;  // where such symbols lie
  std::vector<Address> ends;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(image.elf(), section)) != nullptr;) {
    GElf_Shdr header;
    std::size_t index = elf_ndxscn(section);
    if (gelf_getshdr(section, &header) == nullptr) continue;
    sections.resize(index + 1);
    ends.resize(index + 1);
    const bool code = (header.sh_flags & SHF_EXECINSTR) != 0;
    // Symbols of thread-local data hold offsets, not addresses.
    const bool data = !code && (header.sh_flags & SHF_ALLOC) != 0 && (header.sh_flags & SHF_TLS) == 0;
    sections[index] = functions ? code : data;
    ends[index] = header.sh_addr + header.sh_size;
  }
  // A separate debug file keeps the numbers of the sections; the first file's ends are as good.
  if (ends.size() > section_ends_.size()) section_ends_ = ends;
  for (std::uint32_t type : {SHT_SYMTAB, SHT_DYNSYM}) {
    for_each_symbol(image.elf(), type, [&](const GElf_Sym& symbol, const char* name) {
      auto kind = GELF_ST_TYPE(symbol.st_info);
      bool suits = kind == STT_NOTYPE || (functions ? kind == STT_FUNC || kind == STT_GNU_IFUNC : kind == STT_OBJECT);
      if (suits && symbol.st_shndx < sections.size() && sections[symbol.st_shndx])
        symbols_.push_back({symbol.st_value, symbol.st_size, symbol.st_shndx, rank_of(symbol, name), name});
      return true;
    });
  }
}

const Symbol* SymbolTable::find(Address address) const {
  auto above = std::ranges::upper_bound(symbols_, address, {}, &Symbol::start);
  const Symbol* open = nullptr;  // the nearest one without a size
  for (auto i = static_cast<std::size_t>(above - symbols_.begin()); i-- > 0;) {
    const Symbol& symbol = symbols_[i];
    if (symbol.size != 0 && address - symbol.start < symbol.size) return &symbol;
    if (symbol.size == 0 && open == nullptr) {
      Address end = symbol.section < section_ends_.size() ? section_ends_[symbol.section] : 0;
      if (address < end) open = &symbol;
    }
    if (reach_[i] <= address) break;  // nothing below reaches this far
  }
  if (open == nullptr) return nullptr;
  // A function that ended in between makes the bytes here nobody's.
  auto next = std::ranges::upper_bound(symbols_, open->start, {}, &Symbol::start);
  return next == above ? open : nullptr;
}

Address SymbolTable::end_of(const Symbol& symbol) const {
  Address end = 0;
  if (symbol.size != 0) return __builtin_add_overflow(symbol.start, symbol.size, &end) ? ~Address{0} : end;
  end = symbol.section < section_ends_.size() ? section_ends_[symbol.section] : symbol.start;
  const auto next = std::ranges::upper_bound(symbols_, symbol.start, {}, &Symbol::start);
  return next == symbols_.end() ? end : std::min(end, next->start);
}

std::string section_at(Image& image, Address address) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(image.elf(), &names) != 0) return "";
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(image.elf(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    // .tbss has an address but takes no room.
    const bool loaded =
        (header.sh_flags & SHF_ALLOC) != 0 && !((header.sh_flags & SHF_TLS) != 0 && header.sh_type == SHT_NOBITS);
    if (!loaded || address < header.sh_addr || address - header.sh_addr >= header.sh_size) continue;
    const char* name = elf_strptr(image.elf(), names, header.sh_name);
    return name == nullptr ? "" : name;
  }
  return "";
}

std::optional<Address> symbol_value(Image& image, std::string_view name) {
  std::optional<Address> found;
  for (std::uint32_t type : {SHT_SYMTAB, SHT_DYNSYM}) {
    for_each_symbol(image.elf(), type, [&](const GElf_Sym& symbol, const char* candidate) {
      bool defined = symbol.st_shndx != SHN_UNDEF && symbol.st_shndx != SHN_ABS && GELF_ST_TYPE(symbol.st_info) != STT_TLS;
      if (!defined || name != candidate) return true;
      found = symbol.st_value;
      return false;
    });
    if (found) break;
  }
  return found;
}

}  // namespace stacktide
