// How much of the caller's stack a library function may read as arguments, judged by its name alone.
//
// A thunk leaves the caller's stack, so arguments passed in memory are copied to the system stack. The linker knows no
// types; a mangled C++ name tells the parameters, a C name tells nothing. So C functions come from a table, and whatever is
// not surely narrow is wide: wide is always right, narrow saves the copying.
#pragma once

#include <string_view>

namespace stacktide::link {

enum class Arguments {
  narrow,  // all in registers: at most 6 integers or pointers and 8 floats, no aggregate in memory
  wide,    // maybe on the stack: copy up to 1 KiB of it
};

// symbol: as in the symbol table, mangled or C.
Arguments arguments_of(std::string_view symbol);

}  // namespace stacktide::link
