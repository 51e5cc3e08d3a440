#include "analyze/disassembly.h"

#include <capstone/capstone.h>

#include <algorithm>
#include <memory>

namespace stacktide {
namespace {

Reg general_register(unsigned int reg) {
  switch (reg) {
#define STACKTIDE_REGISTER(name, wide, narrow) \
  case X86_REG_##wide:                         \
  case X86_REG_##narrow:                       \
    return Register::name;
    STACKTIDE_REGISTER(rax, RAX, EAX)
    STACKTIDE_REGISTER(rdx, RDX, EDX)
    STACKTIDE_REGISTER(rcx, RCX, ECX)
    STACKTIDE_REGISTER(rbx, RBX, EBX)
    STACKTIDE_REGISTER(rsi, RSI, ESI)
    STACKTIDE_REGISTER(rdi, RDI, EDI)
    STACKTIDE_REGISTER(rbp, RBP, EBP)
    STACKTIDE_REGISTER(rsp, RSP, ESP)
    STACKTIDE_REGISTER(r8, R8, R8D)
    STACKTIDE_REGISTER(r9, R9, R9D)
    STACKTIDE_REGISTER(r10, R10, R10D)
    STACKTIDE_REGISTER(r11, R11, R11D)
    STACKTIDE_REGISTER(r12, R12, R12D)
    STACKTIDE_REGISTER(r13, R13, R13D)
    STACKTIDE_REGISTER(r14, R14, R14D)
    STACKTIDE_REGISTER(r15, R15, R15D)
    STACKTIDE_REGISTER(rip, RIP, EIP)
#undef STACKTIDE_REGISTER
    default:
      return std::nullopt;
  }
}

Op op_of(unsigned int id) {
  switch (id) {
    case X86_INS_NOP:
    case X86_INS_ENDBR64:
      return Op::nop;
    case X86_INS_CMP:
      return Op::compare;
    case X86_INS_LEA:
      return Op::load_address;
    case X86_INS_MOV:
    case X86_INS_MOVABS:
      return Op::move;
    case X86_INS_SUB:
      return Op::subtract;
    case X86_INS_ADD:
      return Op::add;
    case X86_INS_XOR:
      return Op::exclusive_or;
    case X86_INS_AND:
      return Op::bit_and;
    case X86_INS_STC:
      return Op::set_carry;
    case X86_INS_PUSH:
      return Op::push;
    case X86_INS_POP:
      return Op::pop;
    case X86_INS_CALL:
      return Op::call;
    case X86_INS_JMP:
      return Op::jump;
    case X86_INS_JB:
      return Op::jump_if_below;
    case X86_INS_JBE:
      return Op::jump_if_not_above;
    case X86_INS_JAE:
      return Op::jump_if_not_below;
    case X86_INS_JA:
      return Op::jump_if_above;
    case X86_INS_JE:
      return Op::jump_if_equal;
    case X86_INS_RET:
      return Op::ret;
    default:
      return Op::other;
  }
}

Operand operand_of(const cs_x86_op& from) {
  Operand operand;
  switch (from.type) {
    case X86_OP_REG:
      operand.kind = Operand::Kind::reg;
      operand.reg = general_register(from.reg);
      break;
    case X86_OP_IMM:
      operand.kind = Operand::Kind::immediate;
      operand.value = from.imm;
      break;
    case X86_OP_MEM:
      operand.kind = Operand::Kind::memory;
      operand.reg = general_register(from.mem.base);
      operand.value = from.mem.disp;
      operand.fs = from.mem.segment == X86_REG_FS;
      operand.indexed = from.mem.index != X86_REG_INVALID || (from.mem.base != X86_REG_INVALID && !operand.reg.has_value());
      break;
    default:
      break;
  }
  return operand;
}

Instruction instruction_of(csh handle, const cs_insn& from) {
  Instruction instruction;
  instruction.address = from.address;
  instruction.size = from.size;
  instruction.mnemonic = from.mnemonic;
  instruction.operands = from.op_str;
  instruction.op = op_of(from.id);
  const auto& x86 = from.detail->x86;
  for (std::size_t i = 0; i < std::min<std::size_t>(x86.op_count, instruction.operand.size()); ++i)
    instruction.operand[i] = operand_of(x86.operands[i]);
  const bool jumps = cs_insn_group(handle, &from, CS_GRP_JUMP);
  if (jumps && instruction.op == Op::other) instruction.op = Op::jump_if;
  if ((jumps || instruction.op == Op::call) && instruction.operand[0].is_immediate())
    instruction.target = static_cast<Address>(instruction.operand[0].value);
  const auto& last = x86.op_count == 0 ? Operand{} : operand_of(x86.operands[x86.op_count - 1]);
  const bool reads_only =
      instruction.op == Op::compare || instruction.op == Op::push || instruction.mnemonic.starts_with("test");
  instruction.writes_stack_pointer = last.is(Register::rsp) && !reads_only;
  return instruction;
}

}  // namespace

std::vector<Instruction> disassemble(std::span<const std::byte> code, Address address) {
  std::vector<Instruction> instructions;
  csh handle = 0;
  if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) return instructions;
  const std::unique_ptr<csh, void (*)(csh*)> closed(&handle, [](csh* open) { cs_close(open); });
  cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
  cs_option(handle, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
  const std::unique_ptr<cs_insn, void (*)(cs_insn*)> room(cs_malloc(handle), [](cs_insn* one) { cs_free(one, 1); });
  const auto* at = reinterpret_cast<const std::uint8_t*>(code.data());
  std::size_t left = code.size();
  std::uint64_t next = address;
  while (room && left > 0 && cs_disasm_iter(handle, &at, &left, &next, room.get()))
    instructions.push_back(instruction_of(handle, *room));
  return instructions;
}

}  // namespace stacktide
