// What has to be done to a link command, and the command that results.
//
// Order of the result's inputs: movable goroutine objects, other goroutine objects, thunks, stack maps, then all the rest in
// its own order. The linker keeps the first copy of an inline or template function, and it must be one with stack checks; of
// two with checks the movable one.
//
// Invariant: a link without goroutine objects is not touched.
#pragma once

#include <string>
#include <vector>

#include "calls.h"
#include "command_line.h"
#include "verify.h"

namespace stacktide::link {

struct Plan {
  bool plain = false;                // no goroutine code: run the command as it was given
  bool unlinkable = false;           // the linker refuses the command as it was given: run it to show why
  std::vector<std::string> command;  // what to run otherwise
  Calls calls;                       // what it wraps
  std::vector<std::string> movable;  // names of the movable objects
  std::vector<std::string> pinned;   // and of the other goroutine objects
  Expected expected;                 // what the result must hold
  std::filesystem::path directory;   // of what is kept beside the program
};

// Reads all inputs, writes the thunks and the copies of movable objects to OUTPUT.stacktide/, and assembles.
Result<Plan> make_plan(const CommandLine& line);

// Leaves out of the program at line.output what the linker was told to leave out, with the strip(1) of the driver.
// `directory`: for what is kept beside it.
Result<void> strip_program(const CommandLine& line, const std::filesystem::path& directory);

// The input of the link that defines `symbol` and is neither goroutine code nor the runtime; "" when there is none.
std::string unchecked_definer(const CommandLine& line, std::string_view symbol);

}  // namespace stacktide::link
