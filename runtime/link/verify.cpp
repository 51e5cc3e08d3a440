#include "verify.h"

#include <algorithm>
#include <array>
#include <optional>

#include "calls.h"
#include "functions.h"
#include "instruction.h"
#include "movable.h"
#include "program.h"
#include "thunks.h"

namespace stacktide::link {
namespace {

// A stack that replaces another ends at an address with the same low 16 bits: its colour (src/stack.h).
constexpr std::uint32_t kMostAlignment = 1 << 16;

// What a function takes of the stack between two calls, in the order of its code. Its prologue is the first such stretch
// that takes much; all others may only pass arguments.
class StackUse {
 public:
  explicit StackUse(std::uint32_t frame) : left_(frame) {}
  void take(std::uint64_t bytes) { stretch_ += bytes; }
  void called() {
    if (stretch_ > kPushedArguments) {
      excess_ = std::max(excess_, stretch_ > left_ ? stretch_ - left_ : 0);
      left_ = 0;
    }
    stretch_ = 0;
  }
  // Bytes that the check did not ask for, at the worst.
  std::uint64_t excess() const { return excess_; }

 private:
  std::uint64_t left_;
  std::uint64_t stretch_ = 0;
  std::uint64_t excess_ = 0;
};

class Verifier {
 public:
  Verifier(const Program& program, const Expected& expected, const std::function<std::string(std::string_view)>& definer)
      : program_(program),
        expected_(expected),
        definer_(definer),
        movable_(program.section(kMovableSection)),
        pinned_(program.section(kPinnedSection)),
        thunks_(program.section(kThunkSection)) {}

  Result<void> run() const {
    for (const auto& [name, object] : expected_.functions) {
      if (auto done = check_copy(name, object); !done) return done;
    }
    const std::vector<ProgramFunction>& functions = program_.functions();
    std::uint64_t done_to = 0;
    for (const ProgramFunction& function : functions) {
      if (!is_checked(function.begin) || function.end <= done_to || expected_.runtime.contains(function.name)) continue;
      if (auto done = check_function(function); !done) return done;
      done_to = function.end;
    }
    return {};
  }

 private:
  bool is_checked(std::uint64_t address) const { return movable_.contains(address) || pinned_.contains(address); }

  std::string name_of(const ProgramFunction& function) const {
    const auto known = expected_.functions.find(function.name);
    return readable(function.name) + (known != expected_.functions.end() ? " in " + known->second : "");
  }

  // The linker kept the copy with checks, or none.
  Result<void> check_copy(const std::string& name, const std::string& object) const {
    const std::vector<std::uint64_t> places = program_.addresses_of(name);
    if (places.empty() || std::ranges::any_of(places, [&](std::uint64_t at) { return is_checked(at); })) return {};
    const std::string from = definer_(name);
    return std::unexpected(readable(name) + " in " + object + " has stack checks, but the program got the copy of " +
                           (from.empty() ? "another file" : from) +
                           ", which has none: compile that as goroutine code too, or give one of them another name");
  }

  Result<void> check_function(const ProgramFunction& function) const {
    const bool movable = movable_.contains(function.begin);
    const Range& range = movable ? movable_ : pinned_;
    const Bytes section = program_.code(movable ? kMovableSection : kPinnedSection);
    if (function.end > range.hi || section.size() < range.hi - range.lo)
      return std::unexpected(name_of(function) + " leaves its section");
    const Bytes code = section.subspan(function.begin - range.lo, function.end - function.begin);
    std::optional<StackCheck> check = find_check(function, code);
    StackUse use(check ? check->frame : 0);
    bool uses_stack = false;
    for (std::uint64_t at = 0; at < code.size();) {
      const auto instruction = decode(code.subspan(at));
      if (!instruction)
        return std::unexpected(name_of(function) + " has an instruction that stacktide-link does not know, " +
                               std::to_string(at) + " bytes in");
      using Kind = Instruction::Kind;
      const std::uint64_t target = function.begin + at + static_cast<std::uint64_t>(instruction->target);
      at += instruction->length;
      switch (instruction->kind) {
        case Kind::call:
          uses_stack = true;
          use.called();
          [[fallthrough]];
        case Kind::jump:
          if (auto done = check_target(function, target); !done) return done;
          break;
        case Kind::indirect_call:
          use.called();
          [[fallthrough]];
        case Kind::indirect_jump:
          if (auto done = check_indirect(function, *instruction, target); !done) return done;
          break;
        case Kind::stack_room:
          uses_stack = true;
          use.take(instruction->amount);
          break;
        case Kind::push:
          uses_stack = true;
          use.take(8);
          break;
        case Kind::stack_alignment:
          if (movable && instruction->amount > kMostAlignment) {
            return std::unexpected(name_of(function) + " aligns a local to " + std::to_string(instruction->amount) +
                                   " bytes, and a stack that moves keeps " + std::to_string(kMostAlignment) +
                                   ": use less, or move the function to a target that is not MOVABLE");
          }
          break;
        case Kind::stack_load:
          return std::unexpected(name_of(function) +
                                 " loads the stack pointer (__builtin_longjmp, or a goto out of a nested function): " +
                                 std::string(kWhyNoJumps));
        case Kind::other:
          break;
      }
    }
    if (!check && uses_stack) {
      return std::unexpected(
          name_of(function) +
          " has no stack check; move assembly, and functions with no_split_stack, out of the goroutine target");
    }
    use.called();
    if (use.excess() > kPushedArguments) {
      return std::unexpected(
          name_of(function) + " takes " + std::to_string(use.excess()) +
          " bytes of stack more than its check asks for: code that is optimised for size (-Os, cold) passes large "
          "arguments by value; pass references");
    }
    return {};
  }

  // What the function's check asks for; nullopt when it has none. The slow path lies anywhere in the function.
  std::optional<StackCheck> find_check(const ProgramFunction& function, Bytes code) const {
    for (std::uint64_t at = 0; at < code.size();) {
      const auto instruction = decode(code.subspan(at));
      if (!instruction) break;
      at += instruction->length;
      if (instruction->kind != Instruction::Kind::call) continue;
      const std::uint64_t target =
          function.begin + at - instruction->length + static_cast<std::uint64_t>(instruction->target);
      if (StackCheck found; is_slow_path(target) && read_stack_check(code, at - 4, found)) return found;
    }
    return std::nullopt;
  }

  bool is_slow_path(std::uint64_t target) const {
    return std::ranges::any_of(program_.names_at(target),
                               [](std::string_view name) { return name.starts_with("__morestack"); });
  }

  bool is_listed(std::string_view name) const {
    return expected_.runtime.contains(name) || expected_.absent.contains(name) || runs_on_any_stack(name);
  }

  Result<void> check_target(const ProgramFunction& function, std::uint64_t target) const {
    if (is_checked(target) || thunks_.contains(target)) return {};
    if (!program_.is_code(target)) return {};  // a weak function that is absent has no address
    std::string callee;
    if (const auto stub = program_.stub_target(target)) {
      if (is_listed(*stub)) return {};
      callee = stub->empty() ? "a linker's stub" : readable(*stub);
    } else {
      if (std::ranges::any_of(program_.names_at(target), [&](std::string_view name) { return is_listed(name); })) return {};
      const ProgramFunction* found = program_.function_at(target);
      callee = found != nullptr ? readable(found->name) : "code without a name";
      if (const std::string from = found != nullptr ? definer_(found->name) : ""; !from.empty()) callee += " in " + from;
    }
    return std::unexpected(
        name_of(function) + " calls " + callee +
        ", which has no stack check, and not through a thunk: compile it as goroutine code, or call it through a pointer");
  }

  Result<void> check_indirect(const ProgramFunction& function, const Instruction& instruction, std::uint64_t slot) const {
    if (instruction.rip_operand && is_listed(program_.dynamic_symbol(slot))) return {};
    return std::unexpected(
        name_of(function) +
        " calls through a pointer past the runtime's thunks: compile it with -mindirect-branch=thunk-extern "
        "-mindirect-branch-register, as stacktide_goroutines() does");
  }

  const Program& program_;
  const Expected& expected_;
  const std::function<std::string(std::string_view)>& definer_;
  Range movable_;
  Range pinned_;
  Range thunks_;
};

}  // namespace

Result<void> verify(const std::filesystem::path& program, const Expected& expected,
                    const std::function<std::string(std::string_view)>& definer) {
  const auto file = MappedFile::open(program);
  if (!file) return std::unexpected(file.error());
  const auto object = Object::parse(file->bytes(), program.string());
  if (!object) return std::unexpected(object.error());
  if (object->symbol_count() == 0)
    return std::unexpected(program.string() + ": the linker wrote no symbols, so its calls cannot be verified");
  const Program linked(*object);
  return Verifier(linked, expected, definer).run();
}

}  // namespace stacktide::link
