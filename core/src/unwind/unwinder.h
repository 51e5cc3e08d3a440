// Unwinds a goroutine or thread by CFI with libunwind, through the target's memory.
//
// Concept. libunwind's remote mode asks us for everything: memory, registers, the unwind table of an address. Memory comes
// from the target and, for what a core leaves out (text, .eh_frame), from the module's file. When the file is missing, the
// tables are read from the target's memory instead. The walk ends complete where CFI says so (undefined rip), else with a
// reason. Invariants. Every walk is capped, and ends when pc and cfa repeat. Nothing is written anywhere.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "elf/image.h"
#include "stacktide/core/target.h"

namespace stacktide {

struct UnwoundFrame {
  Address pc = 0;
  Address sp = 0;
  Address cfa = 0;
  bool exact_pc = false;  // frame 0, or interrupted by a signal: pc is the instruction itself, not a return address
  Registers registers;    // as recovered for this frame
};

struct Unwinding {
  std::vector<UnwoundFrame> frames;
  bool complete = false;
  std::string stop_reason;  // for people; "" when complete
};

class Unwinder {
 public:
  // All three outlive the unwinder.
  Unwinder(Memory& memory, const std::vector<Module>& modules, ImageCache& images);
  ~Unwinder();
  Unwinding unwind(const Registers& start, std::size_t limit);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stacktide
