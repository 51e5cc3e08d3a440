// What the recognisers of stack checks share: reading instructions in order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

#include "analyze/prologue.h"

namespace stacktide {

// Reads instructions one after the other; each step() says whether the next one is as wanted, and only then goes on.
class Cursor {
 public:
  Cursor(std::span<const Instruction> code, std::size_t at) : code_(code), at_(at) {}
  const Instruction* here() const { return at_ < code_.size() ? &code_[at_] : nullptr; }
  std::size_t at() const { return at_; }
  template <class Condition>
  const Instruction* step(Condition wanted) {
    const auto* found = here();
    if (found == nullptr || !wanted(*found)) return nullptr;
    ++at_;
    return found;
  }
  const Instruction* step(Op op) {
    return step([op](const Instruction& one) { return one.op == op; });
  }
  void skip(Op op) {
    while (step(op) != nullptr) {
    }
  }

 private:
  std::span<const Instruction> code_;
  std::size_t at_;
};

inline std::optional<std::size_t> index_of(std::span<const Instruction> code, Address address) {
  const auto found = std::ranges::lower_bound(code, address, {}, &Instruction::address);
  if (found == code.end() || found->address != address) return std::nullopt;
  return static_cast<std::size_t>(found - code.begin());
}

// leaq -N(%rsp), R
inline bool is_frame_end(const Instruction& one) {
  return one.op == Op::load_address && one.operand[0].is_at(Register::rsp) && one.operand[0].value < 0 &&
         one.operand[1].kind == Operand::Kind::reg;
}

// prologue_go.cpp. `begin`: the index of the first instruction that may belong to the check.
std::optional<StackCheck> find_go_check(std::span<const Instruction> code, std::size_t begin);

}  // namespace stacktide
