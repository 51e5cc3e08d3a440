// Movable code is recognised at run time by where it lies: in the output section `stacktide_movable`.
//
// Concept. A frame may be copied if its function was compiled as MOVABLE. newstack asks that for every frame, so it must be
// a comparison with two addresses. The name is a C identifier, so the linker collects every input section of that name in
// one output section and defines __start_stacktide_movable and __stop_stacktide_movable. GCC has no option that names the
// section of all code, COMDAT functions included, so the names are changed in a copy of the object: only the section name
// table is replaced, by a new one at the end of the file; nothing else moves.
//
// Rejected: objcopy --rename-section (takes exact names, so one option per function); a linker script (each linker has its
// own dialect); a table of functions (a binary search for each frame at each growth).
#pragma once

#include <filesystem>
#include <string>

#include "object.h"

namespace stacktide::link {

inline constexpr std::string_view kMovableSection = "stacktide_movable";

// A copy of the object file in which every executable section is named kMovableSection.
Result<std::string> with_movable_sections(const Object& object);

}  // namespace stacktide::link
