// Where DWARF says that a variable is in one frame.
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
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

// The call that led to a frame.
struct CallSite {
  Dwarf_Die entry{};       // DW_TAG_call_site
  Dwarf_Die function{};    // the caller, with DW_AT_frame_base
  Address load_bias = 0;   // of the caller's module
  Dwarf_Addr address = 0;  // inside the call, in the file's addresses
};
// Finds the call that a caller's frame stands in.
using FindCallSite = std::function<std::optional<CallSite>(const UnwoundFrame& caller)>;

// What an expression is evaluated in.
struct EvaluationContext {
  Memory& memory;
  const UnwoundFrame& frame;
  Address load_bias = 0;
  Dwarf_Addr address = 0;                 // in the file's addresses; inside the instruction or call in question
  Dwarf_Die* function = nullptr;          // with DW_AT_frame_base: the function itself, not one inlined into it
  std::span<const UnwoundFrame> callers;  // nearest first; for values that only the caller still knows
  const FindCallSite* find_call_site = nullptr;
};

// Nothing when the variable is optimized out there, or is described by what is not evaluated: pieces, implicit pointers,
// thread-local storage, registers that are unknown in this frame and that no caller can tell.
std::optional<Location> locate(Dwarf_Die& variable, const EvaluationContext& context);

}  // namespace stacktide
