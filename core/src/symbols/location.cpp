#include "symbols/location.h"

#include <dwarf.h>

#include <cstring>

#include "symbols/debug_info.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxStack = 64;
constexpr std::size_t kMaxOperations = 1024;
constexpr int kMaxDepth = 12;  // expressions that need others: a frame base, and what callers passed to callers

class Evaluator {
 public:
  Evaluator(const EvaluationContext& context, int depth) : context_(context), depth_(depth) {}

  std::optional<Location> run(Dwarf_Attribute& attribute, const Dwarf_Op* operations, std::size_t count) {
    if (count == 0 || count > kMaxOperations) return std::nullopt;
    for (std::size_t i = 0; i < count; ++i) {
      const Dwarf_Op& op = operations[i];
      bool last = i + 1 == count;
      if (op.atom >= DW_OP_reg0 && op.atom <= DW_OP_reg31 && last && i == 0)
        return Location{Location::Kind::register_, static_cast<std::uint64_t>(op.atom - DW_OP_reg0), {}};
      if (op.atom == DW_OP_regx && last && i == 0) return Location{Location::Kind::register_, op.number, {}};
      if (op.atom == DW_OP_implicit_value && last) return implicit(attribute, op);
      if (op.atom == DW_OP_stack_value && last && !stack_.empty()) return Location{Location::Kind::value, stack_.back(), {}};
      if (op.atom == DW_OP_entry_value || op.atom == DW_OP_GNU_entry_value || op.atom == DW_OP_GNU_parameter_ref) {
        if (!push(entry_value(attribute, op)) || stack_.size() > kMaxStack) return std::nullopt;
        continue;
      }
      if (!execute(op) || stack_.size() > kMaxStack) return std::nullopt;
    }
    if (stack_.empty()) return std::nullopt;
    return Location{Location::Kind::memory, stack_.back(), {}};
  }

 private:
  static std::optional<Location> implicit(Dwarf_Attribute& attribute, const Dwarf_Op& op) {
    Dwarf_Block block;
    if (dwarf_getlocation_implicit_value(&attribute, &op, &block) != 0) return std::nullopt;
    const auto* data = reinterpret_cast<const std::byte*>(block.data);
    return Location{Location::Kind::bytes, 0, std::vector<std::byte>(data, data + block.length)};
  }

  bool push(std::uint64_t value) {
    stack_.push_back(value);
    return true;
  }
  bool push(std::optional<std::uint64_t> value) { return value && push(*value); }

  std::optional<std::uint64_t> register_value(std::uint64_t number) const {
    if (number >= kRegisterCount) return std::nullopt;
    return context_.frame.registers.get(static_cast<Register>(number));
  }
  bool push_relative(std::uint64_t number, std::uint64_t offset) {
    auto base = register_value(number);
    return base && push(*base + offset);
  }

  bool dereference(std::uint64_t size) {
    if (stack_.empty() || size == 0 || size > sizeof(std::uint64_t)) return false;
    std::uint64_t value = 0;
    if (!context_.memory.read(stack_.back(), std::as_writable_bytes(std::span(&value, 1)).first(size))) return false;
    stack_.back() = value;
    return true;
  }

  std::optional<std::uint64_t> frame_base() const {
    Dwarf_Attribute attribute;
    Dwarf_Op* operations = nullptr;
    std::size_t count = 0;
    if (depth_ >= kMaxDepth || context_.function == nullptr ||
        dwarf_attr_integrate(context_.function, DW_AT_frame_base, &attribute) == nullptr ||
        dwarf_getlocation_addr(&attribute, context_.address, &operations, &count, 1) != 1)
      return std::nullopt;
    auto base = Evaluator(context_, depth_ + 1).run(attribute, operations, count);
    if (!base) return std::nullopt;
    // A register as a frame base means its content.
    if (base->kind == Location::Kind::register_) return register_value(base->value);
    return base->kind == Location::Kind::bytes ? std::nullopt : std::optional(base->value);
  }

  // What a register held when the function was entered. The caller's description of the call says where it came from, in
  // terms of registers and memory that outlast the call.
  std::optional<std::uint64_t> entry_value(Dwarf_Attribute& attribute, const Dwarf_Op& op) const {
    if (depth_ >= kMaxDepth || context_.callers.empty() || context_.find_call_site == nullptr ||
        context_.function == nullptr)
      return std::nullopt;
    // Either a register, or a parameter that the compiler removed when it specialised the function.
    std::optional<std::uint64_t> wanted;
    Dwarf_Die removed{};
    Dwarf_Attribute inner;
    Dwarf_Op* operations = nullptr;
    std::size_t count = 0;
    if (op.atom == DW_OP_GNU_parameter_ref) {
      if (dwarf_getlocation_die(&attribute, &op, &removed) != 0) return std::nullopt;
    } else {
      if (dwarf_getlocation_attr(&attribute, &op, &inner) != 0 || dwarf_getlocation(&inner, &operations, &count) != 0 ||
          count != 1 || operations[0].atom < DW_OP_reg0 || operations[0].atom > DW_OP_reg31)
        return std::nullopt;
      wanted = operations[0].atom;
    }
    const UnwoundFrame& caller = context_.callers.front();
    auto site = caller.exact_pc ? std::nullopt : (*context_.find_call_site)(caller);
    if (!site) return std::nullopt;
    EvaluationContext there{context_.memory,        caller,          site->load_bias,
                            site->address,          &site->function, context_.callers.subspan(1),
                            context_.find_call_site};
    Evaluator evaluator(there, depth_ + 1);
    if (!calls_this_function(site->entry, evaluator)) return std::nullopt;
    Dwarf_Die parameter;
    if (dwarf_child(&site->entry, &parameter) != 0) return std::nullopt;
    do {
      int tag = dwarf_tag(&parameter);
      if (tag != DW_TAG_call_site_parameter && tag != DW_TAG_GNU_call_site_parameter) continue;
      if (!(wanted ? is_in_register(parameter, *wanted) : is_parameter(parameter, removed))) continue;
      for (unsigned int kind : {DW_AT_call_value, DW_AT_GNU_call_site_value})
        if (auto value = evaluator.value_of(parameter, kind)) return value;
      return std::nullopt;
    } while (dwarf_siblingof(&parameter, &parameter) == 0);
    return std::nullopt;
  }

  static bool is_in_register(Dwarf_Die& passed, std::uint64_t operation) {
    Dwarf_Attribute place;
    Dwarf_Op* operations = nullptr;
    std::size_t count = 0;
    return dwarf_attr(&passed, DW_AT_location, &place) != nullptr && dwarf_getlocation(&place, &operations, &count) == 0 &&
           count == 1 && operations[0].atom == operation;
  }

  static bool is_parameter(Dwarf_Die& passed, const Dwarf_Die& wanted) {
    Dwarf_Attribute attribute;
    Dwarf_Die parameter;
    for (unsigned int kind : {DW_AT_call_parameter, DW_AT_abstract_origin})
      if (dwarf_attr(&passed, kind, &attribute) != nullptr && dwarf_formref_die(&attribute, &parameter) != nullptr)
        return parameter.addr == wanted.addr;
    return false;
  }

  // An expression attribute whose result is the value itself.
  std::optional<std::uint64_t> value_of(Dwarf_Die& die, unsigned int kind) const {
    Dwarf_Attribute attribute;
    Dwarf_Op* operations = nullptr;
    std::size_t count = 0;
    if (dwarf_attr(&die, kind, &attribute) == nullptr || dwarf_getlocation(&attribute, &operations, &count) != 0)
      return std::nullopt;
    auto result = Evaluator(context_, depth_).run(attribute, operations, count);
    if (!result || result->kind == Location::Kind::bytes) return std::nullopt;
    return result->kind == Location::Kind::register_ ? register_value(result->value) : std::optional(result->value);
  }

  // The call may have been to another function that jumped here as its last act; its arguments are not ours.
  bool calls_this_function(Dwarf_Die& site, const Evaluator& in_caller) const {
    Dwarf_Attribute attribute;
    Dwarf_Die callee;
    for (unsigned int kind : {DW_AT_call_origin, DW_AT_abstract_origin})
      if (dwarf_attr(&site, kind, &attribute) != nullptr && dwarf_formref_die(&attribute, &callee) != nullptr)
        return same_function(callee, *context_.function);
    Dwarf_Addr entry = 0;
    if (dwarf_entrypc(context_.function, &entry) != 0) return false;
    for (unsigned int kind : {DW_AT_call_target, DW_AT_GNU_call_site_target})
      if (auto target = in_caller.value_of(site, kind)) return *target == entry + context_.load_bias;
    return false;
  }

  bool unary(std::uint8_t atom, const Dwarf_Op& op) {
    if (stack_.empty()) return false;
    std::uint64_t& top = stack_.back();
    switch (atom) {
      case DW_OP_plus_uconst:
        top += op.number;
        return true;
      case DW_OP_neg:
        top = 0 - top;
        return true;
      case DW_OP_not:
        top = ~top;
        return true;
      case DW_OP_abs:
        top = static_cast<std::int64_t>(top) < 0 ? 0 - top : top;
        return true;
      case DW_OP_dup:
        return push(top);
      case DW_OP_drop:
        stack_.pop_back();
        return true;
      case DW_OP_deref:
        return dereference(sizeof(std::uint64_t));
      case DW_OP_deref_size:
        return dereference(op.number);
      default:
        return false;
    }
  }

  bool binary(std::uint8_t atom) {
    if (stack_.size() < 2) return false;
    std::uint64_t b = stack_.back();
    stack_.pop_back();
    std::uint64_t& a = stack_.back();
    auto signed_a = static_cast<std::int64_t>(a);
    auto signed_b = static_cast<std::int64_t>(b);
    switch (atom) {
      case DW_OP_plus:
        a += b;
        return true;
      case DW_OP_minus:
        a -= b;
        return true;
      case DW_OP_mul:
        a *= b;
        return true;
      case DW_OP_div:
        if (b == 0 || signed_b == -1) {
          a = 0 - a;
          return b != 0;
        }
        a = static_cast<std::uint64_t>(signed_a / signed_b);
        return true;
      case DW_OP_mod:
        if (b == 0) return false;
        a %= b;
        return true;
      case DW_OP_and:
        a &= b;
        return true;
      case DW_OP_or:
        a |= b;
        return true;
      case DW_OP_xor:
        a ^= b;
        return true;
      case DW_OP_shl:
        a = b < 64 ? a << b : 0;
        return true;
      case DW_OP_shr:
        a = b < 64 ? a >> b : 0;
        return true;
      case DW_OP_shra:
        a = static_cast<std::uint64_t>(signed_a >> (b < 64 ? b : 63));
        return true;
      case DW_OP_eq:
        a = a == b ? 1 : 0;
        return true;
      case DW_OP_ne:
        a = a != b ? 1 : 0;
        return true;
      case DW_OP_lt:
        a = signed_a < signed_b ? 1 : 0;
        return true;
      case DW_OP_le:
        a = signed_a <= signed_b ? 1 : 0;
        return true;
      case DW_OP_gt:
        a = signed_a > signed_b ? 1 : 0;
        return true;
      case DW_OP_ge:
        a = signed_a >= signed_b ? 1 : 0;
        return true;
      case DW_OP_swap: {
        std::uint64_t lower = a;
        a = b;
        return push(lower);
      }
      case DW_OP_over: {
        std::uint64_t lower = a;
        return push(b) && push(lower);
      }
      default:
        return false;
    }
  }

  // One operation; false when it is not evaluated here or fails.
  bool execute(const Dwarf_Op& op) {
    std::uint8_t atom = op.atom;
    if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) return push(static_cast<std::uint64_t>(atom - DW_OP_lit0));
    if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31)
      return push_relative(static_cast<std::uint64_t>(atom - DW_OP_breg0), op.number);
    switch (atom) {
      case DW_OP_nop:
        return true;
      case DW_OP_addr:
        return push(op.number + context_.load_bias);
      case DW_OP_const1u:
      case DW_OP_const1s:
      case DW_OP_const2u:
      case DW_OP_const2s:
      case DW_OP_const4u:
      case DW_OP_const4s:
      case DW_OP_const8u:
      case DW_OP_const8s:
      case DW_OP_constu:
      case DW_OP_consts:
        return push(op.number);  // libdw has extended the signed ones
      case DW_OP_bregx:
        return push_relative(op.number, op.number2);
      case DW_OP_call_frame_cfa:
        return context_.frame.cfa != 0 && push(context_.frame.cfa);
      case DW_OP_fbreg: {
        auto base = frame_base();
        return base && push(*base + op.number);
      }
      default:
        break;
    }
    return unary(atom, op) || binary(atom);
  }

  const EvaluationContext& context_;
  int depth_;
  std::vector<std::uint64_t> stack_;
};

}  // namespace

std::optional<Location> locate(Dwarf_Die& variable, const EvaluationContext& context) {
  Dwarf_Attribute attribute;
  if (dwarf_attr(&variable, DW_AT_const_value, &attribute) != nullptr) {
    Dwarf_Sword value = 0;
    if (dwarf_formsdata(&attribute, &value) == 0)
      return Location{Location::Kind::value, static_cast<std::uint64_t>(value), {}};
    Dwarf_Block block;
    if (dwarf_formblock(&attribute, &block) != 0) return std::nullopt;
    const auto* data = reinterpret_cast<const std::byte*>(block.data);
    return Location{Location::Kind::bytes, 0, std::vector<std::byte>(data, data + block.length)};
  }
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (dwarf_attr(&variable, DW_AT_location, &attribute) == nullptr ||
      dwarf_getlocation_addr(&attribute, context.address, &operations, &count, 1) != 1)
    return std::nullopt;
  return Evaluator(context, 0).run(attribute, operations, count);
}

}  // namespace stacktide
