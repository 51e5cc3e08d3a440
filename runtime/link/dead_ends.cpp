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
  int constant_to = -1;    // the register that it sets to a constant; -1: it does something else
  bool target = false;     // of a jump
  std::uint64_t call = 0;  // address that it calls; 0: none
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

// `lea x(%rip), %r`, `mov $n, %r` and `xor %r, %r`: the register's number, else -1.
int constant_register(Bytes code, std::uint64_t at) {
  unsigned extension = 0;
  if ((byte_at(code, at) & 0xf0) == 0x40) extension = byte_at(code, at++);
  const unsigned opcode = byte_at(code, at);
  const unsigned modrm = byte_at(code, at + 1);
  const int reg = static_cast<int>((modrm >> 3 & 7) + ((extension & 4) != 0 ? 8 : 0));
  const int rm = static_cast<int>((modrm & 7) + ((extension & 1) != 0 ? 8 : 0));
  if (opcode == 0x8d && (modrm & 0xc7) == 0x05) return reg;
  if (opcode >= 0xb8 && opcode <= 0xbf) return static_cast<int>((opcode & 7) + ((extension & 1) != 0 ? 8 : 0));
  if (opcode == 0xc7 && (modrm & 0xf8) == 0xc0) return rm;
  if ((opcode == 0x31 || opcode == 0x33) && modrm >> 6 == 3 && reg == rm) return reg;
  return -1;
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
        step.call = function.begin + target;
        step.falls_through = step.next < code.size() && returns(step.call);
        break;
      default:
        if (opcode == 0xc3 || opcode == 0xc2) {
          step.leaves = true;
          step.falls_through = false;
        }
        if ((byte_at(code, at) == 0x0f && byte_at(code, at + 1) == 0x0b) || byte_at(code, at) == 0xf4)
          step.falls_through = false;
        step.padding = is_padding(code, at, instruction->length);
        step.constant_to = constant_register(code, at);
    }
    steps.push_back(step);
    at = step.next;
  }
  return steps;
}

}  // namespace

namespace {

// Of the steps that lead to no end: do they only set registers to constants, and give them to functions that take nothing
// else?
bool uses_no_object(const std::vector<Step>& steps, const std::vector<bool>& ends, const Callees& callees) {
  constexpr std::array<int, 6> kArguments = {7, 6, 2, 1, 8, 9};  // rdi rsi rdx rcx r8 r9, as instructions number them
  std::uint32_t constants = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    // Whoever jumps here has set other registers.
    if (ends[i] || step.target) constants = 0;
    if (ends[i] || step.padding) continue;
    if (step.constant_to >= 0) {
      constants |= 1U << static_cast<unsigned>(step.constant_to);
      continue;
    }
    const int arguments = step.call != 0 ? callees.register_arguments(step.call) : -1;
    if (arguments < 0 || arguments > static_cast<int>(kArguments.size())) return false;
    for (int n = 0; n < arguments; ++n) {
      if ((constants >> static_cast<unsigned>(kArguments[static_cast<std::size_t>(n)]) & 1U) == 0) return false;
    }
    constants = 0;
  }
  return true;
}

}  // namespace

bool has_dead_ends(const ProgramFunction& function, Bytes code, const Callees& callees) {
  std::vector<Step> steps = steps_of(function, code, callees.returns);
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
  // A dead end begins where something jumps to, or what comes before does not fall through to it alone.
  for (std::size_t i = 0; i < steps.size(); ++i)
    steps[i].target = from[i].size() != 1 || from[i][0] + 1 != i || ends[from[i][0]];
  return !uses_no_object(steps, ends, callees);
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

int arguments_of(std::string_view symbol) {
  if (symbol.starts_with("__wrap_")) symbol.remove_prefix(7);
  if (symbol == "abort" || symbol == "_ZSt9terminatev" || symbol == "__stack_chk_fail" || symbol == "__cxa_pure_virtual")
    return 0;
  if (symbol == "exit" || symbol == "_exit" || symbol == "_Exit") return 1;
  if (symbol == "__assert_fail") return 4;
  // Of those in libstdc++, most take one text; std::__throw_out_of_range_fmt takes as many as it likes.
  if (never_returns(symbol) && symbol.starts_with("_ZSt") && symbol.ends_with("PKc")) return 1;
  return never_returns(symbol) && symbol.starts_with("_ZSt") && symbol.ends_with("v") ? 0 : -1;
}

}  // namespace stacktide::link
