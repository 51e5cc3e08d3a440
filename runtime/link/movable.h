// Goroutine code is recognised at run time by where it lies: movable in the output section `stacktide_movable`, all other in
// `stacktide_pinned`.
//
// Concept. A frame may be copied if its function was compiled as MOVABLE. newstack asks for every word of a stack whether it
// is a return address into pinned code, so that must be a comparison with two addresses, and the range must hold nothing
// else: a word that only looks like an address in it keeps a stack from being copied. The names are C identifiers, so the
// linker collects every input section of that name in one output section and defines __start_NAME and __stop_NAME. GCC has
// no option that names the section of all code, COMDAT functions included, so the names are changed in a copy of the object:
// only the section name table is replaced, by a new one at the end of the file; nothing else moves.
//
// Rejected: objcopy --rename-section (takes exact names, so one option per function); a linker script (each linker has its
// own dialect); a table of functions (a binary search for each frame at each growth).
#pragma once

#include <filesystem>
#include <string>

#include "object.h"

namespace stacktide::link {

inline constexpr std::string_view kMovableSection = "stacktide_movable";
inline constexpr std::string_view kPinnedSection = "stacktide_pinned";

// A copy of the object file in which every executable section has this name.
Result<std::string> with_code_in(const Object& object, std::string_view section_name);

}  // namespace stacktide::link
