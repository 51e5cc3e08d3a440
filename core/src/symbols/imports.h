// What a program calls the functions that it imports.
//
// Concept. A library knows one function by many names (read, __read, __GI___libc_read), and one that is chosen when the
// program starts (memcpy) by none that it exports. The program knows it by the name that its source used: its relocations
// name it, and the slot of each holds the address that the loader put there.
#pragma once

#include <string>
#include <unordered_map>

#include "elf/image.h"

namespace stacktide {

// Linkage names by address in the target, of all functions that this module imports. Read from `memory`, since only there
// the slots are filled; those of slots that are absent there are left out.
std::unordered_map<Address, std::string> imported_functions(Image& image, Address load_bias, Memory& memory);

}  // namespace stacktide
