// The variables and parameters of a function, those of what is inlined into it among them: where each is in scope, and where
// it lies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "debug_tree.h"

namespace stacktide::link {

struct Extent {
  std::uint64_t lo;  // addresses in the program
  std::uint64_t hi;
  bool contains(std::uint64_t pc) const { return pc - lo < hi - lo; }
};

struct Whereabouts {
  enum class Kind : std::uint8_t {
    fixed,        // in the frame, `offset` bytes from the CFA, as long as it is in scope
    slot,         // the same, but only for this extent of code
    partly,       // some part of it, from there on
    in_register,  // DWARF number `reg`, for this extent
  };
  Kind kind;
  Extent extent;
  std::int64_t offset = 0;
  unsigned reg = 0;
  bool whole_scope = false;  // given by one expression, not by a list
};

struct Variable {
  Dwarf_Die entry{};
  std::string name;
  Dwarf_Die type{};
  std::vector<Extent> scope;  // empty: the whole function
  std::vector<Whereabouts> places;
  bool parameter = false;
  bool is_this = false;  // of a member function
  bool in_scope(std::uint64_t pc) const;
};

// Innermost scopes last. Static variables and constants are left out; what is optimised out has no places.
std::vector<Variable> variables_of(Dwarf_Die& function);

}  // namespace stacktide::link
