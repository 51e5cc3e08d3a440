// The stack check at the start of a function, recognised in its instructions: GCC's and Clang's of -fsplit-stack, and Go's.
//
// Concept. A check compares rsp, or rsp less the frame, with the guard and branches to a slow path that calls the runtime.
// It is known by its shape, not by symbols, so stripped code has one too. Forms (AT&T):
//   split stack  [leaq -N(%rsp), %r11;] cmpq %fs:0x70, %rsp|%r11; jb slow      slow: r10 = frame, r11 = stack arguments,
//                (jae body, ja body: the slow path follows at once)                 call __morestack; ret; jmp body
//                stc instead of the comparison: a linker found that the function calls code without checks (gold, lld); it
//                adds its headroom to N where there is one
//   Go           [g -> register;] cmpq 16(g), %rsp                             slow: spills, call runtime.morestack, jmp
//   start
//                leaq -(N-128)(%rsp), R; cmpq 16(g), R
//                movq %rsp, R; subq $N-128, R; jb slow; cmpq 16(g), R          (from 1.17: does not wrap around)
//                movq 16(g), R; cmpq $-1314, R; je slow; leaq 928(%rsp), S; subq R, S; cmpq $N+800, S     (up to 1.16)
//                g is r14 from 1.17 on, before that and in assembly a register loaded from %fs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analyze/disassembly.h"

namespace stacktide {

enum class CheckForm : std::uint8_t { split_stack, go };
// As in JSON: "split_stack". Static.
const char* check_form_name(CheckForm form);

enum class FrameClass : std::uint8_t { small, big, huge };
// "small". Static.
const char* frame_class_name(FrameClass size);

// What divides the classes, and how far the guard lies above the end of the stack.
struct CheckLimits {
  std::uint64_t small = 256;
  std::uint64_t big = 4096;
  std::uint64_t guard = 928;
};
inline constexpr CheckLimits kGoLimits{128, 4096, 928};

struct InstructionRange {
  std::size_t begin = 0;  // indices of instructions
  std::size_t end = 0;
  std::size_t size() const { return end - begin; }
  bool contains(std::size_t index) const { return index >= begin && index < end; }
};

struct StackCheck {
  CheckForm form = CheckForm::split_stack;
  FrameClass size_class = FrameClass::small;
  std::optional<std::uint64_t> frame;      // bytes that the check asks for; nothing: the small form of Go does not say
  std::optional<std::uint64_t> arguments;  // bytes of stack arguments; Go's check does not say
  std::uint64_t headroom = 0;              // bytes that a linker added, for callees without checks
  bool compares_frame = false;             // rsp - frame, not rsp itself
  bool always = false;                     // a linker made it call the slow path each time
  std::string guard;                       // what is compared: "%fs:0x70", "16(%r14)"
  InstructionRange check;
  InstructionRange slow_path;
  std::size_t body = 0;
  std::optional<Address> callee;  // of the slow path
};

// What the code itself does with the stack, seen by going through its instructions once.
struct StackUse {
  std::uint64_t saved = 0;  // bytes that the prologue pushes
  std::uint64_t room = 0;   // bytes that it subtracts from rsp
  InstructionRange setup;   // the instructions that do so
  std::uint64_t below = 0;  // bytes below rsp that it uses all the same: a leaf may (the red zone)
  bool calls = false;       // another function
  bool leaves = false;      // jumps out of the function, or to where a register says
  bool moves = false;       // rsp in any way
  std::uint64_t frame() const { return saved + room; }
};

// Nothing when there is no check.
std::optional<StackCheck> find_check(std::span<const Instruction> code, const CheckLimits& limits);
// `from`: where the body starts; `without`: the slow path, whose call does not count.
StackUse stack_use(std::span<const Instruction> code, std::size_t from, InstructionRange without);

}  // namespace stacktide
