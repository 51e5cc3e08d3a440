#include "analyze/prologue.h"

#include <fmt/format.h>

#include <algorithm>

#include "analyze/code_cursor.h"

namespace stacktide {
namespace {

constexpr std::int64_t kSplitStackSlot = 0x70;  // of glibc's thread control block
constexpr std::int64_t kRedZone = 128;          // bytes below rsp that a leaf may use (System V ABI)
constexpr std::size_t kMaxSetup = 24;           // instructions of a body that may build its frame

FrameClass class_of(std::uint64_t frame, const CheckLimits& limits) {
  if (frame >= limits.big) return FrameClass::huge;
  return frame >= limits.small ? FrameClass::big : FrameClass::small;
}

// movl $N, %r10d; or xorl of it with itself
std::optional<std::uint64_t> constant_in(const Instruction& one, Register reg) {
  if (!one.operand[1].is(reg)) return std::nullopt;
  if (one.op == Op::exclusive_or && one.operand[0].is(reg)) return 0;
  if (one.op != Op::move || !one.operand[0].is_immediate()) return std::nullopt;
  return static_cast<std::uint64_t>(one.operand[0].value);
}

// From the first instruction of the slow path on, or false when it is none.
bool split_slow_path(std::span<const Instruction> code, std::size_t begin, bool inline_path, StackCheck& check) {
  Cursor cursor(code, begin);
  std::optional<std::uint64_t> arguments;
  std::optional<std::uint64_t> frame;
  for (int i = 0; i < 2 && cursor.here() != nullptr; ++i) {
    if (const auto value = constant_in(*cursor.here(), Register::r10)) frame = value;
    else if (const auto bytes = constant_in(*cursor.here(), Register::r11)) arguments = bytes;
    else break;
    cursor.step([](const Instruction&) { return true; });
  }
  const auto* call = cursor.step(Op::call);
  if (call == nullptr || !frame || !arguments || cursor.step(Op::ret) == nullptr) return false;
  check.frame = frame;
  check.arguments = arguments;
  check.callee = call->target;
  if (!inline_path) {
    cursor.skip(Op::nop);
    cursor.step([](const Instruction& one) { return one.op == Op::load_address && one.operand[0].is_at(Register::rbp); });
    cursor.step(Op::jump);
  }
  check.slow_path = {begin, cursor.at()};
  return true;
}

std::optional<StackCheck> find_split(std::span<const Instruction> code, std::size_t begin, const CheckLimits& limits) {
  StackCheck check;
  check.check.begin = begin;
  check.guard = fmt::format("%fs:{:#x}", kSplitStackSlot);
  Cursor cursor(code, begin);
  const auto* end = cursor.step(is_frame_end);
  const auto compared = end != nullptr ? end->operand[1].reg : Reg(Register::rsp);
  if (!cursor.step([&](const Instruction& one) {
        return one.op == Op::compare && one.operand[0].is_thread_local(kSplitStackSlot) &&
               one.operand[1].kind == Operand::Kind::reg && one.operand[1].reg == compared;
      })) {
    if (!cursor.step(Op::set_carry)) return std::nullopt;
    check.always = true;
    cursor.skip(Op::nop);
  }
  const auto* branch = cursor.step([](const Instruction& one) { return one.conditional() && one.target.has_value(); });
  if (branch == nullptr) return std::nullopt;
  check.check.end = cursor.at();
  check.compares_frame = end != nullptr;
  const bool to_slow = branch->op == Op::jump_if_below || branch->op == Op::jump_if_not_above;
  if (!to_slow && branch->op != Op::jump_if_not_below && branch->op != Op::jump_if_above) return std::nullopt;
  const auto there = index_of(code, *branch->target);
  if (!there) return std::nullopt;
  // Of a variadic function, whose body begins with an instruction that the slow path leaves out, too.
  check.body = to_slow ? cursor.at() : *there;
  if (!split_slow_path(code, to_slow ? *there : cursor.at(), !to_slow, check)) return std::nullopt;
  if (!to_slow) check.slow_path.end = std::max(check.slow_path.end, std::min(*there, code.size()));
  if (end != nullptr) {
    const auto asked = static_cast<std::uint64_t>(-end->operand[0].value);
    if (asked > *check.frame) check.headroom = asked - *check.frame;
  }
  check.size_class = class_of(*check.frame, limits);
  return check;
}

}  // namespace

const char* check_form_name(CheckForm form) { return form == CheckForm::go ? "go" : "split_stack"; }

const char* frame_class_name(FrameClass size) {
  switch (size) {
    case FrameClass::small:
      return "small";
    case FrameClass::big:
      return "big";
    case FrameClass::huge:
      return "huge";
  }
  return "";
}

std::optional<StackCheck> find_check(std::span<const Instruction> code, const CheckLimits& limits) {
  Cursor start(code, 0);
  start.skip(Op::nop);
  if (auto found = find_split(code, start.at(), limits)) return found;
  return find_go_check(code, start.at());
}

StackUse stack_use(std::span<const Instruction> code, std::size_t from, InstructionRange without) {
  StackUse use;
  use.setup = {from, from};
  bool building = true;
  bool has_frame_pointer = false;
  for (std::size_t i = 0; i < code.size(); ++i) {
    if (without.contains(i)) continue;
    const auto& one = code[i];
    if (one.op == Op::call) use.calls = true;
    const bool inside = one.target && *one.target >= code.front().address && *one.target < code.back().end();
    if ((one.op == Op::jump || one.conditional()) && !inside) use.leaves = true;
    if (one.op == Op::push || one.op == Op::pop || one.writes_stack_pointer) use.moves = true;
    if (i < from) continue;
    for (const auto& operand : one.operand) {
      if (operand.kind != Operand::Kind::memory || operand.reg != Register::rsp || operand.value >= 0) continue;
      if (operand.value >= -kRedZone) use.below = std::max(use.below, static_cast<std::uint64_t>(-operand.value));
    }
    if (!building) continue;
    if (i >= from + kMaxSetup || one.conditional() || one.op == Op::jump || one.op == Op::call || one.op == Op::ret ||
        one.op == Op::pop) {
      building = false;
      continue;
    }
    const bool room = one.op == Op::subtract && one.operand[0].is_immediate() && one.operand[1].is(Register::rsp);
    const bool room_as_sum =
        one.op == Op::add && one.operand[0].is_immediate() && one.operand[0].value < 0 && one.operand[1].is(Register::rsp);
    if (one.op == Op::push) use.saved += 8;
    if (room) use.room += static_cast<std::uint64_t>(one.operand[0].value);
    if (room_as_sum) use.room += static_cast<std::uint64_t>(-one.operand[0].value);
    const bool frame_pointer =
        !has_frame_pointer && (one.op == Op::move || one.op == Op::load_address) && one.operand[1].is(Register::rbp) &&
        (one.operand[0].is(Register::rsp) || (one.operand[0].is_at(Register::rsp) && one.operand[0].value >= 0));
    if (frame_pointer) has_frame_pointer = true;
    if (one.op == Op::push || one.writes_stack_pointer || frame_pointer) use.setup.end = i + 1;
  }
  return use;
}

}  // namespace stacktide
