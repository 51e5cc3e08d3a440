#include "variables.h"

#include <dwarf.h>

#include <algorithm>
#include <span>

namespace stacktide::link {
namespace {

constexpr int kMaxDepth = 200;

std::vector<Extent> extents_of(Dwarf_Die& entry) {
  std::vector<Extent> extents;
  Dwarf_Addr base = 0;
  Dwarf_Addr low = 0;
  Dwarf_Addr high = 0;
  for (std::ptrdiff_t at = 0; (at = dwarf_ranges(&entry, at, &base, &low, &high)) > 0;) {
    if (low < high) extents.push_back({low, high});
  }
  return extents;
}

bool is_static(Dwarf_Die& entry) {
  Dwarf_Attribute attribute;
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  if (flag_of(entry, DW_AT_external) || dwarf_attr(&entry, DW_AT_const_value, &attribute) != nullptr) return true;
  return dwarf_attr_integrate(&entry, DW_AT_location, &attribute) != nullptr &&
         dwarf_getlocation(&attribute, &operations, &count) == 0 && count > 0 &&
         (operations[0].atom == DW_OP_addr || operations[0].atom == DW_OP_addrx ||
          operations[0].atom == DW_OP_GNU_push_tls_address || operations[0].atom == DW_OP_const8u);
}

// A variable in pieces, or a value that was computed, is in no one place.
void read_places(Dwarf_Die& entry, bool frame_base_is_cfa, std::vector<Whereabouts>& places) {
  Dwarf_Attribute attribute;
  if (dwarf_attr(&entry, DW_AT_location, &attribute) == nullptr) return;
  Dwarf_Addr base = 0;
  Dwarf_Addr low = 0;
  Dwarf_Addr high = 0;
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  const bool expression = dwarf_whatform(&attribute) == DW_FORM_exprloc || dwarf_whatform(&attribute) == DW_FORM_block1;
  for (std::ptrdiff_t at = 0; (at = dwarf_getlocations(&attribute, at, &base, &low, &high, &operations, &count)) > 0;) {
    if (count != 1) {
      for (const Dwarf_Op& operation : std::span(operations, count)) {
        if (operation.atom == DW_OP_fbreg && frame_base_is_cfa)
          places.push_back({Whereabouts::Kind::partly, {low, high}, static_cast<std::int64_t>(operation.number)});
      }
      continue;
    }
    const Dwarf_Op& operation = operations[0];
    if (operation.atom == DW_OP_fbreg && frame_base_is_cfa) {
      places.push_back({expression ? Whereabouts::Kind::fixed : Whereabouts::Kind::slot,
                        {low, high},
                        static_cast<std::int64_t>(operation.number)});
    } else if (operation.atom >= DW_OP_reg0 && operation.atom <= DW_OP_reg31) {
      places.push_back(
          {Whereabouts::Kind::in_register, {low, high}, 0, static_cast<unsigned>(operation.atom - DW_OP_reg0), expression});
    }
  }
}

class Collector {
 public:
  explicit Collector(bool frame_base_is_cfa) : frame_base_is_cfa_(frame_base_is_cfa) {}

  void collect(Dwarf_Die& scope, const std::vector<Extent>& extents, int depth) {
    if (depth > kMaxDepth) return;
    each_child(scope, [&](Dwarf_Die& child) {
      switch (dwarf_tag(&child)) {
        case DW_TAG_formal_parameter:
        case DW_TAG_variable:
          add(child, extents);
          break;
        case DW_TAG_lexical_block:
        case DW_TAG_inlined_subroutine: {
          auto own = extents_of(child);
          collect(child, own.empty() ? extents : own, depth + 1);
          break;
        }
        default:
          break;
      }
    });
  }

  std::vector<Variable> take() { return std::move(variables_); }

 private:
  void add(Dwarf_Die& entry, const std::vector<Extent>& extents) {
    const auto type = type_of(entry);
    if (!type || is_static(entry)) return;
    Variable variable;
    variable.entry = entry;
    variable.name = name_of(entry);
    variable.type = *type;
    variable.scope = extents;
    variable.parameter = dwarf_tag(&entry) == DW_TAG_formal_parameter;
    variable.is_this = variable.parameter && variable.name == "this";
    read_places(entry, frame_base_is_cfa_, variable.places);
    variables_.push_back(std::move(variable));
  }

  bool frame_base_is_cfa_;
  std::vector<Variable> variables_;
};

bool frame_base_is_cfa(Dwarf_Die& function) {
  Dwarf_Attribute attribute;
  Dwarf_Op* operations = nullptr;
  std::size_t count = 0;
  return dwarf_attr_integrate(&function, DW_AT_frame_base, &attribute) != nullptr &&
         dwarf_getlocation(&attribute, &operations, &count) == 0 && count == 1 && operations[0].atom == DW_OP_call_frame_cfa;
}

}  // namespace

bool Variable::in_scope(std::uint64_t pc) const {
  return scope.empty() || std::ranges::any_of(scope, [&](const Extent& extent) { return extent.contains(pc); });
}

std::vector<Variable> variables_of(Dwarf_Die& function) {
  Collector collector(frame_base_is_cfa(function));
  collector.collect(function, {}, 0);
  return collector.take();
}

}  // namespace stacktide::link
