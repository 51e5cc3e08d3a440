// Stack maps of a linked program: sites, shapes, names and pins, in the form of stack_map.h.
//
// Concept. The code of both goroutine sections is decoded once; each call in a function with a stack check is a site. CFI
// gives its frame (frame_rules.h), DWARF its variables (function_map.h). A function of a movable section is pinned when a
// variable, a parameter or a temporary of it could be pointed to from the heap (pins.h), or when nothing is known of it.
//
// The result depends on the program's bytes only, and everything in it is relative to where the sections begin: so it can be
// linked into the same program without changing itself.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "object.h"

namespace stacktide::link {

// A symbol of the runtime's that every goroutine program has. Not the start of a section: to name that would keep all code
// in it from --gc-sections.
inline constexpr const char* kMapsAnchor = "__morestack";

struct PinReason {
  std::string function;  // demangled
  std::string variable;  // "" when it is none
  std::string type;      // of the variable; else the reason
};

struct MapStatistics {
  std::uint64_t functions = 0;  // with sites
  std::uint64_t pinned = 0;     // of these in movable sections, but pinned
  std::uint64_t sites = 0;
  std::uint64_t mapped = 0;  // with a shape
  // Words of all mapped frames: return addresses, saved registers, pointers, scalars, unknown.
  std::array<std::uint64_t, 5> words{};
  std::uint64_t shapes = 0;
  std::uint64_t loaded = 0;  // bytes of the program's file that are loaded, these maps not counted
};

struct StackMaps {
  // Where a region's code begins: so far from the symbol kMapsAnchor.
  struct Region {
    std::int64_t from_anchor = 0;
    std::uint64_t size = 0;
    std::uint32_t first_site = 0;
    std::uint32_t site_count = 0;
  };
  std::vector<Region> regions;
  std::uint32_t pinned_sites = 0;  // of movable regions
  std::string sites;               // bytes, as loaded
  std::string shapes;              // bytes, as loaded
  std::string names;               // the whole names block
  std::vector<PinReason> pins;
  MapStatistics statistics;
};

// The error names the file and says what is missing. Without `need_names`, a program without debug information is none: its
// maps tell how to walk its frames, and that nothing in them may move.
Result<StackMaps> make_stack_maps(const std::filesystem::path& program, bool need_names);

}  // namespace stacktide::link
