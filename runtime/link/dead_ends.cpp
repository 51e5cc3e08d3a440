#include "dead_ends.h"

#include <algorithm>
#include <array>
#include <vector>

#include "instruction.h"

namespace stacktide::link {
namespace {

struct Step {
  std::uint64_t at;  // bytes from the function's beginning
  std::uint64_t next;
  std::int64_t jump = -1;  // where to, in the function; -1: nowhere
  bool leaves = false;     // returns, or jumps out of the function
  bool falls_through = true;
  bool padding = false;
};

unsigned byte_at(Bytes code, std::uint64_t at) { return at < code.size() ? std::to_integer<unsigned>(code[at]) : 0; }

// Past prefixes that GCC writes before a return or a jump.
unsigned opcode_at(Bytes code, std::uint64_t at) {
  while (byte_at(code, at) == 0xf2 || byte_at(code, at) == 0xf3 || byte_at(code, at) == 0x3e) ++at;
  return byte_at(code, at);
}

bool is_padding(Bytes code, std::uint64_t at, std::uint32_t length) {
  std::uint64_t first = at;
  while (first < at + length && (byte_at(code, first) == 0x66 || byte_at(code, first) == 0x2e)) ++first;
  return byte_at(code, first) == 0x90 || byte_at(code, first) == 0xcc ||
         (byte_at(code, first) == 0x0f && byte_at(code, first + 1) == 0x1f);
}

// Empty when an instruction is not known.
std::vector<Step> steps_of(const ProgramFunction& function, Bytes code, const std::function<bool(std::uint64_t)>& returns) {
  std::vector<Step> steps;
  for (std::uint64_t at = 0; at < code.size();) {
    const auto instruction = decode(code.subspan(at));
    if (!instruction) return {};
    Step step{at, at + instruction->length};
    const std::uint64_t target = at + static_cast<std::uint64_t>(instruction->target);
    const unsigned opcode = opcode_at(code, at);
    using Kind = Instruction::Kind;
    switch (instruction->kind) {
      case Kind::jump:
        step.falls_through = opcode != 0xe9 && opcode != 0xeb;
        if (target < code.size()) step.jump = static_cast<std::int64_t>(target);
        else step.leaves = returns(function.begin + target);
        break;
      case Kind::indirect_jump:
        step.leaves = true;
        step.falls_through = false;
        break;
      case Kind::call:
        step.falls_through = step.next < code.size() && returns(function.begin + target);
        break;
      default:
        if (opcode == 0xc3 || opcode == 0xc2) {
          step.leaves = true;
          step.falls_through = false;
        }
        if ((byte_at(code, at) == 0x0f && byte_at(code, at + 1) == 0x0b) || byte_at(code, at) == 0xf4)
          step.falls_through = false;
        step.padding = is_padding(code, at, instruction->length);
    }
    steps.push_back(step);
    at = step.next;
  }
  return steps;
}

}  // namespace

bool has_dead_ends(const ProgramFunction& function, Bytes code, const std::function<bool(std::uint64_t)>& returns) {
  const std::vector<Step> steps = steps_of(function, code, returns);
  if (steps.empty()) return true;
  const auto index_of = [&](std::uint64_t at) {
    const auto found = std::ranges::lower_bound(steps, at, {}, &Step::at);
    return found != steps.end() && found->at == at ? static_cast<std::size_t>(found - steps.begin()) : steps.size();
  };
  std::vector<std::vector<std::uint32_t>> from(steps.size());
  std::vector<std::size_t> reached;
  std::vector<bool> ends(steps.size(), false);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].leaves) {
      ends[i] = true;
      reached.push_back(i);
    }
    if (steps[i].falls_through && i + 1 < steps.size()) from[i + 1].push_back(static_cast<std::uint32_t>(i));
    if (steps[i].jump < 0) continue;
    const std::size_t to = index_of(static_cast<std::uint64_t>(steps[i].jump));
    if (to == steps.size()) return true;
    from[to].push_back(static_cast<std::uint32_t>(i));
  }
  while (!reached.empty()) {
    const std::size_t at = reached.back();
    reached.pop_back();
    for (const std::uint32_t before : from[at]) {
      if (ends[before]) continue;
      ends[before] = true;
      reached.push_back(before);
    }
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!ends[i] && !steps[i].padding) return true;
  }
  return false;
}

bool has_end(const ProgramFunction& function, Bytes code) {
  const auto all = [](std::uint64_t) { return true; };
  const std::vector<Step> steps = steps_of(function, code, all);
  // Of the slow path, `ret` is never reached; it is followed by the jump to the body.
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (!steps[i].leaves) continue;
    const bool after_check = i > 0 && opcode_at(code, steps[i - 1].at) == 0xe8 && i + 1 < steps.size() &&
                             opcode_at(code, steps[i].at) == 0xc3 && steps[i + 1].jump >= 0;
    if (!after_check) return true;
  }
  return steps.empty();
}

bool never_returns(std::string_view symbol) {
  if (symbol.starts_with("__wrap_")) symbol.remove_prefix(7);
  constexpr std::array<std::string_view, 22> kNames = {"__cxa_throw",
                                                       "__cxa_rethrow",
                                                       "__cxa_bad_cast",
                                                       "__cxa_bad_typeid",
                                                       "__cxa_throw_bad_array_new_length",
                                                       "__cxa_call_unexpected",
                                                       "__cxa_pure_virtual",
                                                       "_Unwind_Resume",
                                                       "abort",
                                                       "exit",
                                                       "_exit",
                                                       "_Exit",
                                                       "quick_exit",
                                                       "pthread_exit",
                                                       "__assert_fail",
                                                       "__assert_perror_fail",
                                                       "__stack_chk_fail",
                                                       "__chk_fail",
                                                       "__fortify_fail",
                                                       "_ZSt9terminatev",
                                                       "_ZSt15rethrow_exceptionNSt15__exception_ptr13exception_ptrE",
                                                       "__cxa_call_terminate"};
  if (std::ranges::find(kNames, symbol) != kNames.end()) return true;
  // std::__throw_length_error(char const*) and its like.
  return symbol.starts_with("_ZSt") && symbol.find("__throw_") != symbol.npos;
}

}  // namespace stacktide::link
