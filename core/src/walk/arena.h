// What the runtime's arena says of an address that lies in no goroutine's stack: one record of a span and one of a cell are
// read, never the tables.
#pragma once

#include <optional>

#include "descriptor/descriptor.h"
#include "descriptor/layout.h"
#include "stacktide/core/snapshot.h"

namespace stacktide {

struct ArenaPlace {
  enum class State : std::uint8_t {
    unused,   // no stack is there
    in_use,   // some goroutine has it, or had it when the record was read
    freed,    // was given back, or never used
    unmapped  // was given back, and its memory is not accessible
  };
  State state = State::unused;
  Address lo = 0;  // of the stack, when one is there
  Address hi = 0;
  std::uint64_t freed_by = 0;  // id of the goroutine that last gave it back, 0 none
};

// Nothing: not in the arena, or the runtime does not export what it takes. Errors: memory_fault, damaged_data.
Result<std::optional<ArenaPlace>> arena_place(Memory& memory, const Descriptor& descriptor, const Layout& layout,
                                              const Snapshot& snapshot, Address address);

}  // namespace stacktide
