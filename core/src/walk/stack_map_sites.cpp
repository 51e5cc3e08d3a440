// Looking sites up, and what a site says.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/printable.h"
#include "walk/stack_maps.h"

namespace stacktide {
namespace {

constexpr std::array<unsigned, STACKTIDE_MAP_REGISTER_COUNT> kKept = STACKTIDE_MAP_REGISTERS;
constexpr std::array<unsigned, STACKTIDE_MAP_REGISTER_COUNT> kArguments = STACKTIDE_MAP_ARGUMENTS;
constexpr std::size_t kLongestText = 4096;

}  // namespace

const char* word_kind_name(WordKind kind) {
  switch (kind) {
    case WordKind::unknown:
      return "unknown";
    case WordKind::scalar:
      return "scalar";
    case WordKind::pointer:
      return "pointer";
    case WordKind::frame:
      return "frame";
  }
  return "unknown";
}

const char* map_register_name(unsigned dwarf) {
  constexpr std::array<const char*, kRegisterCount> kNames = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
                                                              "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};
  return dwarf < kNames.size() ? kNames[dwarf] : "?";
}

WordKind MapSite::kind(std::uint64_t word) const {
  for (const auto& run : runs) {
    if (word < run.count) return run.kind;
    word -= run.count;
  }
  return WordKind::unknown;
}

std::optional<unsigned> MapSite::saved_register(std::uint64_t word) const {
  for (std::size_t i = 0; i < saved.size(); ++i) {
    if (saved[i] && *saved[i] == word) return kKept[i];
  }
  return std::nullopt;
}

std::string MapSite::cfa_text() const {
  if (cfa_rule == STACKTIDE_CFA_RSP) return fmt::format("rsp{:+}", cfa_offset);
  return cfa_rule == STACKTIDE_CFA_RBP ? fmt::format("rbp{:+}", cfa_offset) : fmt::format("[rbp{:+}]", cfa_offset);
}

std::string StackMaps::text(std::uint32_t offset) const {
  if (offset >= names_header_.text_size) return "";
  const auto* begin = reinterpret_cast<const char*>(names_.data()) + names_header_.text_offset + offset;
  return printable(
      std::string_view(begin, strnlen(begin, std::min<std::size_t>(kLongestText, names_header_.text_size - offset))));
}

const StackMaps::Region* StackMaps::region_at(Address pc) const {
  auto above = std::ranges::upper_bound(regions_, pc, {}, &Region::begin);
  // A return address may be one past the end of its region, which is where the next one may begin.
  for (int i = 0; i < 2 && above != regions_.begin(); ++i) {
    --above;
    const bool inside = pc - above->begin <= above->size && pc != above->begin;
    if (inside) return &*above;
  }
  return nullptr;
}

std::vector<Address> StackMaps::site_pcs() const {
  std::vector<Address> pcs;
  pcs.reserve(header_.site_count);
  for (const auto& region : regions_) {
    for (std::uint32_t i = 0; i < region.site_count; ++i) pcs.push_back(region.begin + raw_site(region.first_site + i).pc);
  }
  return pcs;
}

Result<std::optional<MapSite>> StackMaps::site(Address pc) const {
  const auto* region = region_at(pc);
  if (region == nullptr) return std::nullopt;
  const auto wanted = pc - region->begin;
  std::uint32_t low = region->first_site;
  std::uint32_t high = low + region->site_count;
  while (low < high) {
    const auto middle = low + (high - low) / 2;
    if (raw_site(middle).pc < wanted) low = middle + 1;
    else high = middle;
  }
  if (low == region->first_site + region->site_count || raw_site(low).pc != wanted) return std::nullopt;
  return STACKTIDE_TRY(decode(*region, low));
}

Result<MapSite> StackMaps::decode(const Region& region, std::uint32_t index) const {
  const auto raw = raw_site(index);
  MapSite site;
  site.pc = region.begin + raw.pc;
  site.index = index;
  const auto offset = STACKTIDE_SITE_SHAPE(raw.shape);
  if (offset != STACKTIDE_NO_SHAPE) {
    const auto shapes = std::span<const std::byte>(maps_).subspan(header_.shape_offset, header_.shape_size);
    const auto shape = *load<stacktide_map_shape>(shapes, std::uint64_t{offset} * 4);
    site.known = true;
    site.cfa_rule = shape.cfa;
    site.cfa_offset = shape.offset;
    site.pinned = (shape.flags & STACKTIDE_SHAPE_PINNED) != 0;
    site.morestack = (shape.flags & STACKTIDE_SHAPE_MORESTACK) != 0;
    std::uint64_t at = std::uint64_t{offset} * 4 + sizeof shape;
    const auto next = [&] {
      const auto value = *load<std::uint16_t>(shapes, at);
      at += sizeof value;
      return value;
    };
    for (std::size_t i = 0; i < site.saved.size(); ++i) {
      if ((shape.saved >> i & 1U) != 0) site.saved[i] = next();
    }
    for (unsigned i = 0; i < shape.runs; ++i) {
      const unsigned run = next();
      site.runs.push_back({static_cast<WordKind>(STACKTIDE_RUN_KIND(run)), STACKTIDE_RUN_COUNT(run)});
    }
    const auto& registers = site.morestack ? kArguments : kKept;
    for (unsigned i = 0; i < registers.size(); ++i) {
      if ((STACKTIDE_SITE_SCALARS(raw.shape) >> i & 1U) != 0) site.registers[registers[i]] = WordKind::scalar;
      if ((STACKTIDE_SITE_POINTERS(raw.shape) >> i & 1U) != 0) site.registers[registers[i]] = WordKind::pointer;
    }
  }
  if (auto done = add_variables(site); !done) return std::unexpected(done.error());
  return site;
}

Result<void> StackMaps::add_variables(MapSite& site) const {
  if (names_.empty()) return {};
  const auto block = std::span<const std::byte>(names_).first(names_header_.size);
  const auto list =
      *load<std::uint32_t>(block, names_header_.site_offset + std::uint64_t{site.index} * sizeof(std::uint32_t));
  if (list == 0) return {};
  const auto count = load<std::uint32_t>(block, list);
  if (!count || *count > kMaxMapVariables ||
      !fits(std::uint64_t{list} + sizeof *count, std::uint64_t{*count} * sizeof(stacktide_map_variable), block.size()))
    return fail(ErrorCode::damaged_data,
                fmt::format("stack maps: the names of site {} do not fit in their block", site.index), site.pc);
  for (std::uint32_t i = 0; i < *count; ++i) {
    const auto raw = *load<stacktide_map_variable>(
        block, std::uint64_t{list} + sizeof *count + std::uint64_t{i} * sizeof(stacktide_map_variable));
    MapVariable variable{text(raw.name), text(raw.type), raw.offset, raw.size, {}, WordKind::unknown};
    if (raw.reg != STACKTIDE_IN_MEMORY) variable.reg = raw.reg;
    if (raw.kind <= STACKTIDE_WORD_FRAME) variable.kind = static_cast<WordKind>(raw.kind);
    site.variables.push_back(std::move(variable));
  }
  return {};
}

std::vector<MapPin> StackMaps::pins(Address pc) const {
  std::vector<MapPin> found;
  const auto* region = names_.empty() ? nullptr : region_at(pc);
  if (region == nullptr) return found;
  const auto offset = pc - region->begin;
  for (std::uint32_t i = 0; i < names_header_.pin_count; ++i) {
    const auto pin =
        *load<stacktide_map_pin>(names_, names_header_.pin_offset + std::uint64_t{i} * sizeof(stacktide_map_pin));
    // `pc` is a return address: the call before it is meant.
    if (pin.region == region->number && offset > pin.begin && offset <= pin.end)
      found.push_back({text(pin.name), text(pin.type)});
  }
  return found;
}

}  // namespace stacktide
