// Where the functions and instructions of a program lie, by binutils: what a test knows of a program that was stripped
// afterwards, too.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "stacktide/core/target.h"

namespace stacktide::test {

struct CodeRange {
  Address lo = 0;
  Address hi = 0;  // equal to lo for labels without a size
  bool contains(Address pc) const { return pc >= lo && pc < hi; }
};

// Functions by demangled name without parameters ("level"), in the file's own addresses.
std::map<std::string, CodeRange> functions_of(const std::string& program);
// The instructions in a range, as objdump writes them, by address.
std::map<Address, std::string> instructions_of(const std::string& program, const CodeRange& range);

}  // namespace stacktide::test
