// The stack map of one function: what each word of its frame is at each call.
//
// Concept. A variable with a fixed place in the frame keeps it for as long as it is in scope, if nothing shares that place:
// the caller knows how the function was compiled, and that no way through it is dead (dead_ends.h). So a word that holds a
// byte of a scalar then is no pointer. In optimised code only arrays and structures count: a single number may be described
// by the one place that the compiler once spilled it to. A place that a location list gives is good for the names only: the
// compiler may keep something else there that has the same value. In a register, which GCC shares among all that is equal, a
// scalar is certain only where no pointer can be equal to it: 64-bit signed integers, which goroutine code that moves must
// not make of addresses. Argument registers at a function's entry hold what the ABI says.
//
// Invariant. A word that two variables of a function claim, in whichever scopes, is a scalar only if it is one for both.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "frame_rules.h"
#include "type_kinds.h"
#include "variables.h"

namespace stacktide::link {

// One call in a function.
struct CallPlace {
  std::uint64_t return_address = 0;  // in the program
  std::uint64_t target = 0;          // 0: through a pointer
  bool slow_path = false;            // the call of __morestack
};

// What is known at one call.
struct SiteMap {
  std::vector<std::uint8_t> words;  // STACKTIDE_WORD_*, from the CFA down, the unknown ones at the end left out
  std::uint32_t scalar_registers = 0;
  std::uint32_t pointer_registers = 0;
};

// A variable as a list of names shows it.
struct NamedPlace {
  const Variable* variable;
  std::int64_t offset;  // from the CFA
  unsigned reg;         // DWARF number, or STACKTIDE_IN_MEMORY
  std::uint64_t size;
  std::uint8_t kind;
};

class FunctionMap {
 public:
  // entry: address of the function's first instruction. places_apart: no two variables share a place; otherwise no word is a
  // scalar for certain.
  FunctionMap(std::vector<Variable> variables, std::uint64_t entry, bool places_apart, bool optimised, TypeReader& types);
  SiteMap at(const CallPlace& call, const FrameRules& rules) const;
  // Innermost scopes first.
  std::vector<NamedPlace> names_at(const CallPlace& call, const FrameRules& rules) const;
  const std::vector<Variable>& variables() const { return variables_; }

 private:
  struct WordUse {
    std::uint32_t word;
    std::uint8_t scalars;   // bit n: its byte n is a scalar's
    std::uint8_t pointers;  // or a pointer's
    std::uint8_t others;    // not a scalar's for certain, pointers among them
  };
  void claim(std::int64_t offset, std::uint64_t size);
  void use_words(std::size_t variable, std::int64_t offset, std::vector<WordUse>& uses) const;
  void mark_registers(const CallPlace& call, SiteMap& map) const;
  bool is_live(const Variable& variable, const Whereabouts& place, const CallPlace& call) const;

  std::vector<Variable> variables_;
  std::vector<TypeKinds> kinds_;
  std::vector<std::vector<ByteKind>> bytes_;                 // of variables that have a place in the frame
  std::vector<std::vector<WordUse>> uses_;                   // of each variable's fixed place
  std::unordered_map<std::uint32_t, std::uint8_t> claimed_;  // bytes of a word that may be no scalar, in some scope
  std::uint64_t entry_;
  bool places_apart_;
  bool optimised_;
  TypeReader& types_;
};

}  // namespace stacktide::link
