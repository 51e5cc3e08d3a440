// Does every way through a function lead to its end?
//
// Concept. GCC gives two objects one place in a frame if no point of the function is reached from uses of both: one of them
// is used only on ways that never return, to a throw, an abort or an endless loop. The other's scope in DWARF covers those
// ways all the same, so there a word is not what its variable says; and a temporary has no entry that would tell. A function
// without such ways has no such pairs: whatever was used, its end can be reached.
//
// Ways are found in the machine code. A call returns unless its callee is known not to (C++ runtime, DW_AT_noreturn, code
// without a return) or nothing follows it. The ways of exceptions to their handlers are left out, which makes more ways
// dead, never fewer.
//
// A dead end that only gives constants to a function which does not return ("what was wrong", a line) uses no object, and is
// none.
//
// Rejected: to ask which dead ends use which place (GCC takes addresses into registers long before it uses them).
#pragma once

#include <cstdint>
#include <functional>

#include "program.h"

namespace stacktide::link {

// What is called.
struct Callees {
  std::function<bool(std::uint64_t target)> returns;            // can this call return?
  std::function<int(std::uint64_t target)> register_arguments;  // how many, if it takes nothing else; -1: more, or not known
};
bool has_dead_ends(const ProgramFunction& function, Bytes code, const Callees& callees);

// Is there a return, or a jump out of the function, anywhere in it?
bool has_end(const ProgramFunction& function, Bytes code);

// Does this function of a library, by its symbol, never return? And how many arguments does it take, -1 if that is not
// known?
bool never_returns(std::string_view symbol);
int arguments_of(std::string_view symbol);

}  // namespace stacktide::link
