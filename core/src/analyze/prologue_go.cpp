// Go's forms of the stack check, by version; prologue.h shows them.
//
// Concept. A slow path of Go returns to the function's start, where the check then passes: so a branch that does not lead to
// a call and back is no check, however much its comparison looks like one.
#include <algorithm>
#include <optional>
#include <span>

#include "analyze/code_cursor.h"

namespace stacktide {
namespace {

constexpr std::int64_t kGoPreempt = -1314;  // stackPreempt
constexpr std::size_t kMaxSlowPath = 64;    // instructions: Go spills and reloads each register argument

struct GoGuard {
  Register g = Register::r14;
  bool matches(const Operand& operand) const {
    // stackguard0; stackguard1 of code on the system stack; in Go up to 1.3, stackguard0 came first.
    return operand.is_at(g) && (operand.value == 16 || operand.value == 24 || operand.value == 0);
  }
};

// The instructions that load g, when the code does so itself.
void load_g(Cursor& cursor, GoGuard& guard) {
  const auto is_load = [](const Instruction& one) {
    return one.op == Op::move && one.operand[0].kind == Operand::Kind::memory && one.operand[1].kind == Operand::Kind::reg &&
           one.operand[1].reg.has_value();
  };
  auto ahead = cursor;
  const auto* first = ahead.step(is_load);
  if (first == nullptr) return;
  const auto& from = first->operand[0];
  const auto target = *first->operand[1].reg;
  if (from.fs && !from.reg && from.value < 0) {
    guard.g = target;
    cursor = ahead;
    return;
  }
  // Position-independent: the offset comes first, then %fs:(R).
  const bool offset = !from.fs && from.reg == Register::rip;
  const auto* second = offset ? ahead.step(is_load) : nullptr;
  if (second == nullptr || !second->operand[0].fs || second->operand[0].reg != target) return;
  guard.g = *second->operand[1].reg;
  cursor = ahead;
}

const Instruction* step_compare(Cursor& cursor, const GoGuard& guard, Reg with) {
  return cursor.step([&](const Instruction& one) {
    return one.op == Op::compare && guard.matches(one.operand[0]) && one.operand[1].kind == Operand::Kind::reg &&
           one.operand[1].reg == with;
  });
}

const Instruction* step_branch(Cursor& cursor, Op op) {
  return cursor.step([op](const Instruction& one) { return one.op == op && one.target.has_value(); });
}

// Each fills frame and compares_frame, and leaves the cursor behind the comparison.
bool go_small(Cursor& cursor, const GoGuard& guard, StackCheck&, const Instruction*& compare) {
  compare = step_compare(cursor, guard, Register::rsp);
  return compare != nullptr;
}

bool go_big(Cursor& cursor, const GoGuard& guard, StackCheck& check, const Instruction*& compare) {
  const auto* end = cursor.step(is_frame_end);
  if (end == nullptr) return false;
  compare = step_compare(cursor, guard, end->operand[1].reg);
  check.frame = static_cast<std::uint64_t>(-end->operand[0].value) + kGoLimits.small;
  return compare != nullptr;
}

bool go_huge(Cursor& cursor, const GoGuard& guard, StackCheck& check, const Instruction*& compare) {
  const auto* copy = cursor.step([](const Instruction& one) {
    return one.op == Op::move && one.operand[0].is(Register::rsp) && one.operand[1].kind == Operand::Kind::reg;
  });
  if (copy == nullptr) return false;
  const auto reg = copy->operand[1].reg;
  const auto* less = cursor.step([&](const Instruction& one) {
    return one.op == Op::subtract && one.operand[0].is_immediate() && one.operand[0].value > 0 &&
           one.operand[1].kind == Operand::Kind::reg && one.operand[1].reg == reg;
  });
  if (less == nullptr || step_branch(cursor, Op::jump_if_below) == nullptr) return false;
  compare = step_compare(cursor, guard, reg);
  check.frame = static_cast<std::uint64_t>(less->operand[0].value) + kGoLimits.small;
  return compare != nullptr;
}

bool go_old_huge(Cursor& cursor, const GoGuard& guard, StackCheck& check, const Instruction*& compare) {
  compare = cursor.step([&](const Instruction& one) {
    return one.op == Op::move && guard.matches(one.operand[0]) && one.operand[1].kind == Operand::Kind::reg;
  });
  if (compare == nullptr) return false;
  const auto loaded = compare->operand[1].reg;
  if (!cursor.step([&](const Instruction& one) {
        return one.op == Op::compare && one.operand[0].is_immediate() && one.operand[0].value == kGoPreempt &&
               one.operand[1].kind == Operand::Kind::reg && one.operand[1].reg == loaded;
      }))
    return false;
  if (step_branch(cursor, Op::jump_if_equal) == nullptr) return false;
  const auto* above = cursor.step([](const Instruction& one) {
    return one.op == Op::load_address && one.operand[0].is_at(Register::rsp) && one.operand[0].value > 0;
  });
  if (above == nullptr) return false;
  const auto distance = above->operand[1].reg;
  const auto on_distance = [&](Op op) {
    return [&, op](const Instruction& one) {
      return one.op == op && one.operand[1].kind == Operand::Kind::reg && one.operand[1].reg == distance;
    };
  };
  if (cursor.step(on_distance(Op::subtract)) == nullptr) return false;
  const auto* limit = cursor.step(on_distance(Op::compare));
  if (limit == nullptr || !limit->operand[0].is_immediate()) return false;
  // sp + StackGuard - guard <= frame + StackGuard - StackSmall
  const auto frame = limit->operand[0].value - above->operand[0].value + static_cast<std::int64_t>(kGoLimits.small);
  if (frame < 0) return false;
  check.frame = static_cast<std::uint64_t>(frame);
  return true;
}

}  // namespace

std::optional<StackCheck> find_go_check(std::span<const Instruction> code, std::size_t begin) {
  Cursor start(code, begin);
  GoGuard guard;
  load_g(start, guard);
  for (const auto form : {go_small, go_big, go_huge, go_old_huge}) {
    StackCheck check;
    check.form = CheckForm::go;
    const Instruction* compare = nullptr;
    auto cursor = start;
    if (!form(cursor, guard, check, compare)) continue;
    const auto* branch = step_branch(cursor, Op::jump_if_not_above);
    if (branch == nullptr) continue;
    check.check = {begin, cursor.at()};
    check.body = cursor.at();
    check.compares_frame = check.frame.has_value();
    check.size_class = form == go_small ? FrameClass::small : form == go_big ? FrameClass::big : FrameClass::huge;
    const auto text = compare->operands;
    check.guard = text.substr(0, text.find(','));
    const auto slow = index_of(code, *branch->target);
    if (!slow) continue;
    for (std::size_t i = *slow; i < std::min(code.size(), *slow + kMaxSlowPath); ++i) {
      if (code[i].op == Op::call && !check.callee) check.callee = code[i].target;
      if (code[i].op != Op::jump) continue;
      // Back to the check: with more room it passes.
      if (code[i].target && check.callee && *code[i].target >= code.front().address && *code[i].target <= code[begin].end())
        check.slow_path = {*slow, i + 1};
      break;
    }
    if (check.slow_path.size() != 0) return check;
  }
  return std::nullopt;
}

}  // namespace stacktide
