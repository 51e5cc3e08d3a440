// What each instruction of a prologue and its slow path is for.
#include <fmt/format.h>

#include "view/prologue.h"

namespace stacktide {
namespace {

std::string reg_name(const Reg& reg) {
  constexpr const char* kNames[] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
                                    "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};
  return reg ? kNames[static_cast<std::size_t>(*reg)] : "a register";
}

bool writes(const Instruction& one, Register reg) { return one.operand[1].is(reg); }

std::string of_split_check(const PrologueModel& model, const Instruction& one) {
  const auto& check = *model.check;
  switch (one.op) {
    case Op::load_address:
      if (check.headroom == 0) return fmt::format("where rsp will be with a frame of {} bytes", grouped(*check.frame));
      return fmt::format("with a frame of {} bytes and {} for callees without checks", grouped(*check.frame),
                         grouped(check.headroom));
    case Op::compare:
      if (check.compares_frame) return "is that below the guard?";
      return fmt::format("is rsp below the guard? a frame under {} bytes may go below it", model.limits.small);
    case Op::set_carry:
      return "yes, always: a linker put this, since code without checks is called";
    default:
      break;
  }
  if (!one.conditional()) return "";
  const bool to_slow = one.op == Op::jump_if_below || one.op == Op::jump_if_not_above;
  return to_slow ? "yes: to the slow path" : "no: to the body";
}

std::string of_split_slow_path(const PrologueModel& model, const Instruction& one) {
  const auto& check = *model.check;
  if (writes(one, Register::r10)) return fmt::format("r10 = {}: bytes of the frame", grouped(*check.frame));
  if (writes(one, Register::r11) && one.op != Op::load_address)
    return fmt::format("r11 = {}: bytes of stack arguments", grouped(*check.arguments));
  switch (one.op) {
    case Op::call:
      return "gets room, and goes on behind the ret";
    case Op::ret:
      return "after a linked segment: back to the caller";
    case Op::load_address:
      return "r11 = the arguments on the stack, when the body runs on a linked segment";
    case Op::jump:
      return one.target && *one.target > one.end() && *one.target < model.code[check.body].address + 16 &&
                     check.body == check.slow_path.end
                 ? "past the next instruction"
                 : "here with more room: to the body";
    default:
      return "";
  }
}

std::string of_go_check(const PrologueModel& model, const Instruction& one) {
  const auto& check = *model.check;
  if (one.conditional()) {
    if (one.op == Op::jump_if_not_above) return "not above it: to the slow path";
    return one.op == Op::jump_if_below ? "below zero: to the slow path" : "the scheduler asks: to the slow path";
  }
  const bool from_memory = one.operand[0].kind == Operand::Kind::memory;
  switch (one.op) {
    case Op::compare:
      if (one.operand[0].is_immediate())
        return one.operand[0].value < 0 ? "is it the sentinel of preemption?" : "is the distance enough for the frame?";
      if (check.frame) return "is that above the guard?";
      return fmt::format("is rsp above the guard? a frame of up to {} bytes may go below it", kGoLimits.small);
    case Op::load_address:
      if (one.operand[0].value > 0) return "";
      return fmt::format("rsp less a frame of {} bytes, of which {} may go below the guard", grouped(*check.frame),
                         kGoLimits.small);
    case Op::subtract:
      if (!one.operand[0].is_immediate()) return "the distance from the guard";
      return fmt::format("less a frame of {} bytes, of which {} may go below the guard", grouped(*check.frame),
                         kGoLimits.small);
    case Op::move:
      if (!from_memory) return "";
      if (one.operand[0].fs) return fmt::format("{} = g, the running goroutine", reg_name(one.operand[1].reg));
      return one.operand[0].reg == Register::rip ? "where the thread keeps g" : "the guard";
    default:
      return "";
  }
}

std::string of_go_slow_path(const Instruction& one) {
  const auto& [from, to] = one.operand;
  switch (one.op) {
    case Op::call:
      return "gets a larger stack, and returns on it";
    case Op::jump:
      return "back to the check";
    case Op::move:
      if (to.is_at(Register::rsp)) return fmt::format("keeps argument {}", reg_name(from.reg));
      if (from.is_at(Register::rsp)) return fmt::format("argument {} again", reg_name(to.reg));
      return "";
    default:
      return "";
  }
}

std::string of_setup(const PrologueModel& model, const Instruction& one) {
  const auto& [from, to] = one.operand;
  const bool split = model.check && model.check->form == CheckForm::split_stack;
  switch (one.op) {
    case Op::push:
      return from.kind == Operand::Kind::reg ? fmt::format("keeps the caller's {}", reg_name(from.reg)) : "";
    case Op::subtract:
      return to.is(Register::rsp) && from.is_immediate() ? fmt::format("room for {} bytes", from.value) : "";
    case Op::add:
      return to.is(Register::rsp) && from.is_immediate() && from.value < 0 ? fmt::format("room for {} bytes", -from.value)
                                                                           : "";
    case Op::bit_and:
      return to.is(Register::rsp) && from.is_immediate() ? fmt::format("aligned to {} bytes", -from.value) : "";
    case Op::move:
      if (to.is(Register::rbp) && from.is(Register::rsp)) return "rbp is the frame pointer";
      if (from.is(Register::rbp) && to.is_at(Register::rsp)) return "keeps the caller's rbp";
      return "";
    case Op::load_address:
      if (to.is(Register::rbp) && from.is_at(Register::rsp)) return "rbp is the frame pointer";
      return split && to.is(Register::r11) && from.is_at(Register::rsp) ? "r11 = the arguments on the stack" : "";
    default:
      return "";
  }
}

}  // namespace

std::string explanation(const PrologueModel& model, std::size_t index) {
  const auto& one = model.code[index];
  if (one.op == Op::nop) return one.mnemonic == "endbr64" ? "where indirect jumps may land" : "";
  if (!model.check) return model.use.setup.contains(index) ? of_setup(model, one) : "";
  const bool go = model.check->form == CheckForm::go;
  if (model.check->check.contains(index)) return go ? of_go_check(model, one) : of_split_check(model, one);
  if (model.check->slow_path.contains(index)) return go ? of_go_slow_path(one) : of_split_slow_path(model, one);
  return model.use.setup.contains(index) ? of_setup(model, one) : "";
}

std::string instruction_text(const PrologueModel& model, const Instruction& one) {
  if (!one.target) return one.operands.empty() ? one.mnemonic : one.mnemonic + " " + one.operands;
  const auto start = model.function.start;
  if (*one.target >= start && *one.target - start < model.bytes.size())
    return fmt::format("{} <+{}>", one.mnemonic, *one.target - start);
  const auto name = model.names.find(*one.target);
  if (name == model.names.end()) return fmt::format("{} {:#x}", one.mnemonic, *one.target);
  return fmt::format("{} <{}>", one.mnemonic, short_name(name->second));
}

}  // namespace stacktide
