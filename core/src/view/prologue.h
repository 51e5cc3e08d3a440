// prologue: a function's stack check, explained instruction by instruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "analyze/prologue.h"
#include "symbols/symbolizer.h"
#include "view/json.h"
#include "view/text.h"

namespace stacktide {

struct PrologueModel {
  SymbolAt function;
  std::string file;  // where it is defined; "" unknown
  std::uint32_t line = 0;
  std::vector<std::byte> bytes;  // its code
  std::vector<Instruction> code;
  std::optional<StackCheck> check;
  std::string none;  // without a check: why
  StackUse use;
  CheckLimits limits;
  bool runtime = false;                                 // the target has one, whose constants `limits` are
  std::optional<std::vector<InlinedFunction>> inlined;  // nothing: no debug information
  std::map<Address, std::string> names;                 // of functions that it calls or jumps to
};

std::string prologue_text(const PrologueModel& model, const Style& style);
Json to_json(const PrologueModel& model);

// What an instruction is for: "is rsp below the guard?"; "" for one that has nothing to do with the stack.
std::string explanation(const PrologueModel& model, std::size_t index);
// "jb <+95>", "callq <__morestack>".
std::string instruction_text(const PrologueModel& model, const Instruction& instruction);

}  // namespace stacktide
