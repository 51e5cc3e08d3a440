// Steps a thread of a program instruction by instruction and interrupts it with a signal at each instruction of interest.
//
// Concept. The program puts marks (int3 with a number in eax) around the piece of work, 1 and 2, and at the end of its
// signal handler, 3 for success. From mark 1 to mark 2 the thread that met it runs one instruction at a time. Where one lies
// in a watched function, the signal is delivered before it: the handler runs at full speed to its mark, and the thread is
// stepped out of it until it is back where it was, registers and all. Other threads run freely.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/process.h"

namespace stacktide::test {

struct StepReport {
  std::uint64_t steps = 0;                // instructions between the marks, handlers not counted
  std::uint64_t delivered = 0;            // signals
  std::vector<std::string> instructions;  // that were interrupted: "function+0x12", each once, sorted
  std::string problem;                    // "" when all went as it should
  int exit_code = -1;                     // of the program; 128 + the signal that ended it
};

// Runs argv to its end, and kills it when that takes longer than the timeout. Watched are the functions whose name begins
// with one of `watched`; their places are read from the program's symbol table by nm. The program's output goes where the
// test's does.
StepReport step_with_signals(const std::vector<std::string>& argv, const std::vector<std::string>& watched, int signal,
                             const std::vector<std::string>& env, Timeout timeout = kTimeout);

}  // namespace stacktide::test
