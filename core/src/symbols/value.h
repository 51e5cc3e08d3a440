// A variable's value as one short text, read from its location by its DWARF type.
#pragma once

#include <elfutils/libdw.h>

#include <string>

#include "symbols/location.h"

namespace stacktide {

// Numbers, characters, enumerators, pointers (0x...), the text of strings; "..." for other aggregates; "<unreadable 0x...>"
// when the memory is absent; "<unavailable>" for registers that a frame does not keep.
std::string format_value(const Location& location, Dwarf_Die type, const EvaluationContext& context);

}  // namespace stacktide
