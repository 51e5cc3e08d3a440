#include "function_map.h"

#include <dwarf.h>

#include <algorithm>
#include <array>

namespace stacktide::link {
namespace {

constexpr std::array<unsigned, STACKTIDE_MAP_REGISTER_COUNT> kRegisters = STACKTIDE_MAP_REGISTERS;
constexpr std::array<unsigned, STACKTIDE_MAP_REGISTER_COUNT> kArguments = STACKTIDE_MAP_ARGUMENTS;
constexpr std::int64_t kLowest = -(std::int64_t{1} << 30);  // no frame is larger than the largest stack

// Of a byte at this distance from the CFA, in its word.
std::uint8_t bit_of(std::int64_t at) { return static_cast<std::uint8_t>(1U << static_cast<unsigned>(((at % 8) + 8) % 8)); }

bool is_aggregate(Dwarf_Die type) {
  auto real = peeled(type);
  return real && (is_class(*real) || dwarf_tag(&*real) == DW_TAG_array_type);
}

bool is_signed_word(Dwarf_Die type) {
  auto real = peeled(type);
  Dwarf_Attribute attribute;
  Dwarf_Word encoding = 0;
  Dwarf_Word size = 0;
  return real && dwarf_tag(&*real) == DW_TAG_base_type && dwarf_aggregate_size(&*real, &size) == 0 && size == 8 &&
         dwarf_formudata(dwarf_attr(&*real, DW_AT_encoding, &attribute), &encoding) == 0 && encoding == DW_ATE_signed;
}

}  // namespace

FunctionMap::FunctionMap(std::vector<Variable> variables, std::uint64_t entry, bool places_apart, bool optimised,
                         TypeReader& types)
    : variables_(std::move(variables)), entry_(entry), places_apart_(places_apart), optimised_(optimised), types_(types) {
  kinds_.resize(variables_.size());
  bytes_.resize(variables_.size());
  uses_.resize(variables_.size());
  for (std::size_t i = 0; i < variables_.size(); ++i) {
    const Variable& variable = variables_[i];
    if (variable.places.empty()) continue;
    kinds_[i] = types_.kinds_of(variable.type);
    for (const Whereabouts& place : variable.places) {
      if (place.kind == Whereabouts::Kind::in_register) continue;
      if (bytes_[i].empty()) bytes_[i] = types_.bytes_of(variable.type);
      if (place.kind == Whereabouts::Kind::partly) {
        claim(place.offset, kinds_[i].size);
        continue;
      }
      std::vector<WordUse> uses;
      use_words(i, place.offset, uses);
      for (const WordUse& use : uses) {
        if (use.others != 0) claimed_[use.word] |= use.others;
      }
      if (place.kind != Whereabouts::Kind::fixed) continue;
      if (optimised_ && !is_aggregate(variable.type)) {
        for (WordUse& use : uses) use.scalars = 0;
      }
      uses_[i] = std::move(uses);
    }
  }
}

// Bytes of the frame that belong to a variable, nobody knows which of its.
void FunctionMap::claim(std::int64_t offset, std::uint64_t size) {
  if (offset < kLowest || offset >= 0) return;
  const auto end = std::min<std::int64_t>(0, offset + static_cast<std::int64_t>(std::min<std::uint64_t>(size, -kLowest)));
  for (std::int64_t at = offset; at < end; ++at) claimed_[static_cast<std::uint32_t>((-at - 1) / 8)] |= bit_of(at);
}

void FunctionMap::use_words(std::size_t index, std::int64_t offset, std::vector<WordUse>& uses) const {
  const std::uint64_t size = std::min<std::uint64_t>(kinds_[index].size, -kLowest);
  if (offset < kLowest) return;
  const std::vector<ByteKind>& bytes = bytes_[index];
  for (std::uint64_t i = 0; i < size; ++i) {
    const std::int64_t at = offset + static_cast<std::int64_t>(i);
    if (at >= 0) break;  // arguments lie in the caller's frame
    const auto word = static_cast<std::uint32_t>((-at - 1) / 8);
    const std::uint8_t bit = bit_of(at);
    if (uses.empty() || uses.back().word != word) uses.push_back({word, 0, 0, 0});
    const ByteKind kind = i < bytes.size() ? bytes[i] : kinds_[index].scalar ? ByteKind::scalar : ByteKind::unknown;
    if (kind == ByteKind::scalar) uses.back().scalars |= bit;
    if (kind == ByteKind::pointer) uses.back().pointers |= bit;
    if (kind == ByteKind::pointer || kind == ByteKind::unknown) uses.back().others |= bit;
  }
}

bool FunctionMap::is_live(const Variable& variable, const Whereabouts& place, const CallPlace& call) const {
  // A register keeps through a call what it held before: the return address itself may belong to the next range already.
  const std::uint64_t pc = call.return_address - 1;
  if (call.slow_path)
    return place.kind == Whereabouts::Kind::in_register && variable.parameter && variable.scope.empty() &&
           place.extent.contains(entry_);
  if (!variable.in_scope(pc)) return false;
  return place.kind == Whereabouts::Kind::fixed || place.extent.contains(pc);
}

void FunctionMap::mark_registers(const CallPlace& call, SiteMap& map) const {
  const auto& registers = call.slow_path ? kArguments : kRegisters;
  std::uint32_t others = 0;
  for (std::size_t i = 0; i < variables_.size(); ++i) {
    for (const Whereabouts& place : variables_[i].places) {
      if (place.kind != Whereabouts::Kind::in_register || !is_live(variables_[i], place, call)) continue;
      const auto found = std::ranges::find(registers, place.reg);
      if (found == registers.end()) continue;
      const std::uint32_t bit = 1U << static_cast<unsigned>(found - registers.begin());
      if (kinds_[i].pointers) map.pointer_registers |= bit;
      // One expression for all of the scope: before the variable had that register, something else had.
      if (place.whole_scope) {
        others |= bit;
        continue;
      }
      const bool certain = call.slow_path ? kinds_[i].scalar : kinds_[i].scalar && is_signed_word(variables_[i].type);
      if (certain) map.scalar_registers |= bit;
      else others |= bit;
    }
  }
  map.scalar_registers &= ~others;
}

SiteMap FunctionMap::at(const CallPlace& call, const FrameRules& rules) const {
  SiteMap map;
  mark_registers(call, map);
  // Of a frame that aligns the stack, only the CFA is known.
  if (rules.cfa == STACKTIDE_CFA_AT_RBP) return map;
  const auto mark = [&](std::uint32_t word, std::uint8_t kind) {
    if (map.words.size() <= word) map.words.resize(word + 1, STACKTIDE_WORD_UNKNOWN);
    std::uint8_t& there = map.words[word];
    if (there == STACKTIDE_WORD_UNKNOWN || kind == STACKTIDE_WORD_FRAME) there = kind;
  };
  mark(0, STACKTIDE_WORD_FRAME);
  for (const std::int32_t slot : rules.slots) {
    if (slot >= 0) mark(static_cast<std::uint32_t>(slot), STACKTIDE_WORD_FRAME);
  }
  if (call.slow_path) return map;
  for (std::size_t i = 0; i < variables_.size(); ++i) {
    if (uses_[i].empty() || !variables_[i].in_scope(call.return_address - 1)) continue;
    for (const WordUse& use : uses_[i]) {
      const auto claim = claimed_.find(use.word);
      const unsigned claimed = claim == claimed_.end() ? 0 : claim->second;
      if (places_apart_ && (use.scalars & ~claimed) != 0) mark(use.word, STACKTIDE_WORD_SCALAR);
      else if (use.pointers != 0) mark(use.word, STACKTIDE_WORD_POINTER);
    }
  }
  while (map.words.back() == STACKTIDE_WORD_UNKNOWN) map.words.pop_back();
  return map;
}

std::vector<NamedPlace> FunctionMap::names_at(const CallPlace& call, const FrameRules& rules) const {
  std::vector<NamedPlace> names;
  for (std::size_t i = variables_.size(); i-- > 0;) {
    const Variable& variable = variables_[i];
    if (variable.name.empty()) continue;
    for (const Whereabouts& place : variable.places) {
      if (place.kind == Whereabouts::Kind::partly || !is_live(variable, place, call)) continue;
      const bool in_register = place.kind == Whereabouts::Kind::in_register;
      if (!in_register && rules.cfa == STACKTIDE_CFA_AT_RBP) continue;
      const std::uint8_t kind = kinds_[i].scalar     ? STACKTIDE_WORD_SCALAR
                                : kinds_[i].pointers ? STACKTIDE_WORD_POINTER
                                                     : STACKTIDE_WORD_UNKNOWN;
      names.push_back(
          {&variable, in_register ? 0 : place.offset, in_register ? place.reg : STACKTIDE_IN_MEMORY, kinds_[i].size, kind});
      break;
    }
  }
  return names;
}

}  // namespace stacktide::link
