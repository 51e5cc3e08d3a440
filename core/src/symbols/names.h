// C++ names as people know them: demangled, without what does not name the function.
#pragma once

#include <string>
#include <string_view>

namespace stacktide {

// The qualified name in a demangled function name, as GDB's backtrace shows it: no return type, no parameters of the
// function itself, no qualifiers, no "[clone ...]". Enclosing functions keep theirs:
// "run(long)::{lambda(int)#1}::operator()". A text that is no such name comes back unchanged.
std::string without_signature(std::string_view name);

}  // namespace stacktide
