// Instructions as plain values: capstone's text, and of the operands what reading a prologue takes.
//
// Concept. Capstone decodes and formats; nothing else of it is seen outside the one source file. Only operations and
// registers that stack checks are made of have a name here; all others are `other` and `none`. Operands stand in AT&T
// order, source first, like the text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stacktide/core/target.h"

namespace stacktide {

enum class Op : std::uint8_t {
  other,
  nop,  // also endbr64
  compare,
  load_address,  // lea
  move,
  subtract,
  add,
  exclusive_or,
  bit_and,
  set_carry,  // stc
  push,
  pop,
  call,
  jump,
  jump_if_below,  // jb; the conditions are unsigned ones, as of addresses
  jump_if_not_above,
  jump_if_not_below,
  jump_if_above,
  jump_if_equal,
  jump_if,  // any other condition
  ret,
};

// The DWARF number of a general register, its parts included ("r10d" is r10); nothing for others.
using Reg = std::optional<Register>;

struct Operand {
  enum class Kind : std::uint8_t { none, reg, immediate, memory };
  Kind kind = Kind::none;
  Reg reg;                 // of a register operand, or the base of a memory operand
  std::int64_t value = 0;  // the immediate, or the displacement
  bool fs = false;         // memory at %fs:value
  bool indexed = false;    // memory with an index register, or a base that is no general register

  bool is(Register which) const { return kind == Kind::reg && reg == which; }
  bool is_immediate() const { return kind == Kind::immediate; }
  // value(base)
  bool is_at(Register base) const { return kind == Kind::memory && !fs && !indexed && reg == base; }
  bool is_thread_local(std::int64_t offset) const {
    return kind == Kind::memory && fs && !reg && !indexed && value == offset;
  }
};

struct Instruction {
  Address address = 0;
  std::size_t size = 0;  // bytes
  std::string mnemonic;
  std::string operands;  // as capstone writes them
  Op op = Op::other;
  std::array<Operand, 2> operand;  // of the first two
  std::optional<Address> target;   // of a direct call or jump
  bool writes_stack_pointer = false;

  Address end() const { return address + size; }
  bool conditional() const { return op >= Op::jump_if_below && op <= Op::jump_if; }
};

// The instructions of `code`, which lies at `address`, up to the first byte that is none.
std::vector<Instruction> disassemble(std::span<const std::byte> code, Address address);

}  // namespace stacktide
