// The stack maps of a program, as stack_map.h describes them, read and validated.
//
// Concept. A site is a return address in code with stack checks. Its map says where the frame ends (the rule for its CFA),
// which of its words are pointers for certain, scalars for certain, or neither, where registers of the caller are saved,
// and, when the names block is there, which variables lie where. Words count down from the CFA: word 0 is the return
// address.
//
// Invariants. Both blocks are hostile bytes. parse() checks headers, tables, order, and every site's shape once; a list of
// names is checked when it is asked for. What is wrong is an Error, never a crash, and never a map that is made up.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stacktide/core/result.h"
#include "stacktide/core/target.h"
#include "stacktide/stack_map.h"

namespace stacktide {

inline constexpr std::uint64_t kMaxMapBytes = 64U << 20;   // of one block
inline constexpr std::uint32_t kMaxMapVariables = 65'536;  // at one site

enum class WordKind : std::uint8_t {
  unknown = STACKTIDE_WORD_UNKNOWN,
  scalar = STACKTIDE_WORD_SCALAR,
  pointer = STACKTIDE_WORD_POINTER,
  frame = STACKTIDE_WORD_FRAME,  // return address or saved register
};
// "pointer". Static.
const char* word_kind_name(WordKind kind);

// A DWARF number's name: "rbx". Static; "?" for one that is none of the sixteen.
const char* map_register_name(unsigned dwarf);

struct MapVariable {
  std::string name;
  std::string type;
  std::int32_t offset = 0;      // bytes from the CFA; of one in memory
  std::uint32_t size = 0;       // bytes
  std::optional<unsigned> reg;  // DWARF number of the register that holds it
  WordKind kind = WordKind::unknown;
};

struct MapPin {
  std::string name;  // of the variable; "" when the reason is another
  std::string type;  // its type, or the reason
};

struct WordRun {
  WordKind kind = WordKind::unknown;
  std::uint32_t count = 0;
};

struct MapSite {
  Address pc = 0;
  std::size_t index = 0;  // among all sites
  bool known = false;     // false: no shape, and nothing below but the variables holds
  std::uint8_t cfa_rule = STACKTIDE_CFA_RSP;
  std::int32_t cfa_offset = 0;
  bool pinned = false;
  bool morestack = false;  // the call in the function's stack check
  // By index into STACKTIDE_MAP_REGISTERS: the word where the frame saved the caller's.
  std::array<std::optional<std::uint16_t>, STACKTIDE_MAP_REGISTER_COUNT> saved;
  // By DWARF number: what the register holds at this site, when that is certain.
  std::array<WordKind, kRegisterCount> registers{};
  std::vector<WordRun> runs;  // from word 0 on; words behind are unknown
  std::vector<MapVariable> variables;

  WordKind kind(std::uint64_t word) const;
  // The DWARF number of the caller's register that word holds.
  std::optional<unsigned> saved_register(std::uint64_t word) const;
  // "rbp+16", "[rbp-8]".
  std::string cfa_text() const;
};

class StackMaps {
 public:
  // `maps` lay at `address`. `names` may be empty: then sites have no variables, and nothing names a pin. Errors:
  // damaged_data, unsupported_contract (a version that this reader does not know).
  static Result<StackMaps> parse(std::vector<std::byte> maps, Address address, std::vector<std::byte> names);

  bool has_names() const { return !names_.empty(); }
  std::size_t site_count() const { return header_.site_count; }
  // The return addresses of all sites, ascending.
  std::vector<Address> site_pcs() const;
  // The map of a return address; nothing when there is none. Error: damaged_data.
  Result<std::optional<MapSite>> site(Address pc) const;
  // Why the code around this return address is pinned by what it holds.
  std::vector<MapPin> pins(Address pc) const;

 private:
  struct Region {
    Address begin = 0;
    std::uint64_t size = 0;
    std::uint32_t first_site = 0;
    std::uint32_t site_count = 0;
    std::uint32_t number = 0;  // in the block
  };
  Result<void> read_regions(Address address);
  Result<void> check_sites() const;
  Result<void> check_names() const;
  Result<MapSite> decode(const Region& region, std::uint32_t index) const;
  Result<void> add_variables(MapSite& site) const;
  const Region* region_at(Address pc) const;
  stacktide_map_site raw_site(std::uint64_t index) const;
  std::string text(std::uint32_t offset) const;

  std::vector<std::byte> maps_;
  std::vector<std::byte> names_;
  stacktide_maps_header header_{};
  stacktide_names_header names_header_{};
  std::vector<Region> regions_;  // by address
};

}  // namespace stacktide
