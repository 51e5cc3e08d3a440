// Where DWARF says that a variable is in one frame.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "stacktide/core/target.h"
#include "unwind/unwinder.h"

namespace stacktide {

struct Location {
  enum class Kind : std::uint8_t {
    memory,     // value: an address of the target
    register_,  // value: a DWARF register number
    value,      // value: the thing itself
    bytes,      // bytes: the thing itself
  };
  Kind kind = Kind::memory;
  std::uint64_t value = 0;
  std::vector<std::byte> bytes;
};

// What an expression is evaluated in.
struct EvaluationContext {
  Memory& memory;
  const UnwoundFrame& frame;
  Address load_bias = 0;
  Dwarf_Addr address = 0;         // in the file's addresses; inside the instruction or call in question
  Dwarf_Die* function = nullptr;  // with DW_AT_frame_base: the function itself, not one inlined into it
};

// Nothing when the variable is optimized out there, or is described by what is not evaluated: pieces, entry values, implicit
// pointers, thread-local storage, registers that are unknown in this frame.
std::optional<Location> locate(Dwarf_Die& variable, const EvaluationContext& context);

}  // namespace stacktide
