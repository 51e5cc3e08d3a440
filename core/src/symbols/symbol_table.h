// The symbols of one module, functions or data, sorted by address.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "elf/image.h"

namespace stacktide {

struct Symbol {
  Address start = 0;       // in the file's addresses
  std::uint64_t size = 0;  // 0: not given; it reaches to the next symbol or the end of its section
  std::uint32_t section = 0;
  std::uint8_t rank = 0;  // among names for one address: the lower the better
  const char* name = "";  // in the mapped file
};

enum class SymbolKind : std::uint8_t { function, data };

class SymbolTable {
 public:
  // Takes .symtab and .dynsym of `image`, and .symtab of `debug` (its separate debug file; may be null). Both outlive the
  // table.
  SymbolTable(Image* image, Image* debug, SymbolKind kind = SymbolKind::function);
  // The symbol at a file address; nullptr when none covers it.
  const Symbol* find(Address address) const;
  // By address.
  const std::vector<Symbol>& all() const { return symbols_; }
  // One past the last byte that is a symbol's: by its size, else up to the next symbol or the end of its section.
  Address end_of(const Symbol& symbol) const;

 private:
  void add(Image& image, SymbolKind kind);
  std::vector<Symbol> symbols_;
  std::vector<Address> reach_;         // highest end of symbols_[0..i]
  std::vector<Address> section_ends_;  // by section index
};

// The name of the section that a file address lies in; "" when none does. Those that are not loaded do not count.
std::string section_at(Image& image, Address address);

// The value of a defined symbol, function or data, by name: .symtab first, then .dynsym. In the file's addresses.
std::optional<Address> symbol_value(Image& image, std::string_view name);

}  // namespace stacktide
