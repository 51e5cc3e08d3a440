// Proof, from the linked program itself, that goroutine code stays on goroutine stacks only where it may.
//
// Concept. What the launcher asked for by name (thunks, order of objects) is not what the linker had to do: a strong
// definition replaces an inline one, an option redirects a symbol. So the code of the two goroutine sections is decoded,
// instruction by instruction, and each of these must hold, else the link fails by name:
//  - every function that goroutine objects define lies there, so it is a copy with checks;
//  - every call and jump that leaves the sections goes to a thunk, to the runtime, or to what runs on any stack;
//  - calls through pointers go through the runtime's indirect thunks;
//  - every function that uses stack has a check, and takes no more than the check asked for.
// A function that the linker dropped (--gc-sections) needs no proof, and two that it folded into one (--icf) are one.
//
// Needs .symtab, so programs are linked unstripped, and stripped afterwards (plan.h).
//
// Rejected: relocations of the inputs (say what was asked for), --emit-relocs (each linker's differ, and calls within a
// section have none), a linker map (three dialects, and nothing about code).
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "object.h"

namespace stacktide::link {

struct Expected {
  std::map<std::string, std::string, std::less<>> functions;  // global functions of goroutine objects, and their object
  std::set<std::string, std::less<>> runtime;                 // defined by the runtime itself
  std::set<std::string, std::less<>> absent;                  // weak functions that the program does not have
};

// definer: the input without stack checks that defines a symbol, for messages; "" when it is none.
Result<void> verify(const std::filesystem::path& program, const Expected& expected,
                    const std::function<std::string(std::string_view)>& definer);

}  // namespace stacktide::link
