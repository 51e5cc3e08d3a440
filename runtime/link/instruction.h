// x86-64 instructions as verification needs them: their lengths, and which of them leave the code or take stack.
//
// Concept. The length follows from prefixes, opcode map, ModRM and the width of immediates; what an instruction does is of
// no interest beyond calls, jumps and what it does to rsp. A length that is wrong would show itself at once: tests compare
// it with objdump over whole libraries.
//
// Rejected: capstone (formats the text of every instruction, and would have to be installed wherever programs are linked);
// looking for call opcodes at every byte (immediates look like them).
#pragma once

#include <cstdint>
#include <optional>

#include "object.h"

namespace stacktide::link {

struct Instruction {
  enum class Kind {
    other,
    call,           // to `target`
    jump,           // to `target`, conditional or not
    indirect_call,  // through a register or memory
    indirect_jump,
    push,
    stack_room,       // subq $amount, %rsp
    stack_alignment,  // andq $-amount, %rsp
    stack_load,       // rsp from memory
  };
  Kind kind = Kind::other;
  std::uint32_t length = 0;
  std::int64_t target =
      0;  // relative to the instruction's first byte; of indirect ones, the memory operand if it is relative to rip
  bool rip_operand = false;  // an indirect one whose operand is at `target`
  std::uint32_t amount = 0;
};

// The instruction at the beginning of `code`; nullopt when there is none or it is cut off.
std::optional<Instruction> decode(Bytes code);

}  // namespace stacktide::link
