// The functions of a goroutine object: where each lies, and what its stack check asks for.
//
// GCC's check has one slow path in each function: `movl $frame, %r10d; movl $arguments, %r11d; call __morestack`, with
// `xorl` for zero. It is found by its relocation; the two numbers are read from the bytes before it. The frame counts
// everything between the function's return address and the lowest rsp at a call: saved registers, locals, slack for their
// alignment, and the arguments of the functions it calls (-maccumulate-outgoing-args), but see kPushedArguments.
#pragma once

#include <cstdint>
#include <vector>

#include "object.h"

namespace stacktide::link {

// Code that GCC optimises for size (-Os, [[gnu::cold]]) pushes arguments in spite of -maccumulate-outgoing-args, and its
// check does not count them. The runtime keeps this many bytes for it below every guard (kCheckBudget in stack.h); verify.h
// refuses more.
inline constexpr std::uint32_t kPushedArguments = 256;

struct StackCheck {
  std::uint32_t frame = 0;      // bytes, return address not included
  std::uint32_t arguments = 0;  // bytes of stack arguments that the function itself was given
};

struct Function {
  std::size_t section;  // index
  std::uint64_t begin;  // offset in the section
  std::uint64_t end;
  bool checked;  // has a check: `check` is known
  StackCheck check;
};

// Reads the numbers before the call whose operand is at `operand` in `code`. False: these are not a check's instructions.
bool read_stack_check(Bytes code, std::uint64_t operand, StackCheck& check);

class Functions {
 public:
  explicit Functions(const Object& object);
  // The function that covers `offset` in a section; nullptr when no symbol says.
  const Function* at(std::size_t section, std::uint64_t offset) const;

 private:
  void read_checks(const Object& object);
  std::size_t index_at(std::size_t section, std::uint64_t offset) const;  // all_.size() when there is none

  std::vector<Function> all_;  // sorted by section and begin
};

}  // namespace stacktide::link
