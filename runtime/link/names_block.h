// Builds the names block of stack_map.h: which variables are in scope at each site, and why functions are pinned.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "function_map.h"
#include "stack_maps.h"

namespace stacktide::link {

class NamesBlock {
 public:
  explicit NamesBlock(const DebugTree& tree) : tree_(tree) {}
  // One for each site, in their order.
  void add_list(const std::vector<NamedPlace>& names);
  void add_pin(std::uint32_t region, std::uint32_t begin, std::uint32_t end, const PinReason& reason);
  std::string finish() const;

 private:
  std::uint32_t text(const std::string& text);
  std::uint32_t type_text(Dwarf_Die type);

  const DebugTree& tree_;
  std::vector<std::uint32_t> sites_;            // offset of the list in lists_, plus 1; 0: empty
  std::string lists_;                           // each aligned to 4 bytes
  std::map<std::string, std::uint32_t> known_;  // lists, by their bytes
  std::string pins_;
  std::uint32_t pin_count_ = 0;
  std::string texts_ = std::string(1, '\0');
  std::unordered_map<std::string, std::uint32_t> known_texts_{{"", 0}};
  std::unordered_map<const void*, std::uint32_t> known_types_;
};

}  // namespace stacktide::link
