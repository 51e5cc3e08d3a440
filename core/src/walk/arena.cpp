#include "walk/arena.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "descriptor/record.h"

namespace stacktide {
namespace {

struct Span {
  Address lo = 0;
  std::uint64_t size = 0;
  std::uint64_t stack_size = 0;
  std::uint64_t first = 0;
  std::string state;
};

class Arena {
 public:
  Arena(Memory& memory, const Descriptor& descriptor, const Layout& layout, Address lo, Address hi)
      : memory_(memory), descriptor_(descriptor), layout_(layout), lo_(lo), hi_(hi) {}

  Result<ArenaPlace> at(Address address) {
    const ArenaPlace nothing;
    auto span = STACKTIDE_TRY(span_record(address));
    if (span.lo == 0) return nothing;
    // Of most units, the record only says which span they are a part of.
    if (span.size == 0) {
      if (span.lo < lo_ || span.lo >= hi_) return nothing;
      span = STACKTIDE_TRY(span_record(span.lo));
    }
    if (span.lo < lo_ || address < span.lo || address - span.lo >= span.size || span.stack_size == 0) return nothing;
    const auto offset = address - span.lo;
    if (offset < span.first || (span.state != "stacks" && span.state != "unmapped")) return nothing;
    ArenaPlace place;
    place.lo = address - (offset - span.first) % span.stack_size;
    place.hi = place.lo + span.stack_size;
    if (place.hi < place.lo || place.hi - span.lo > span.size) return nothing;
    const auto* root = descriptor_.root("stack_cells");
    const auto smallest = constant("stack_min");
    if (smallest == 0) return nothing;
    const auto cell = (place.lo - lo_) / smallest + 1;
    if (cell >= root->count) return fail(ErrorCode::damaged_data, fmt::format("the arena has no cell {}", cell), place.lo);
    const auto bytes = STACKTIDE_TRY(record(*root, cell, layout_.stack_cell.record_size));
    const Record read(bytes);
    place.freed_by = read.number(layout_.stack_cell.freed_by);
    place.state = read.number(layout_.stack_cell.next) == constant("stack_in_use") ? ArenaPlace::State::in_use
                                                                                   : ArenaPlace::State::freed;
    if (span.state == "unmapped") place.state = ArenaPlace::State::unmapped;
    return place;
  }

 private:
  std::uint64_t constant(std::string_view name) const {
    const auto found = descriptor_.constants.find(name);
    return found == descriptor_.constants.end() ? 0 : static_cast<std::uint64_t>(found->second);
  }

  Result<std::vector<std::byte>> record(const Descriptor::Root& root, std::uint64_t index, std::uint32_t size) {
    std::vector<std::byte> bytes(size);
    if (auto done = memory_.read(root.address + index * root.stride, bytes); !done) return std::unexpected(done.error());
    return bytes;
  }

  Result<Span> span_record(Address address) {
    const auto* root = descriptor_.root("spans");
    // One record for each unit: so large is one.
    const auto unit = (hi_ - lo_) / root->count;
    const auto index = unit == 0 ? root->count : (address - lo_) / unit;
    if (index >= root->count) return fail(ErrorCode::damaged_data, fmt::format("the arena has no unit {}", index), address);
    const auto& fields = layout_.span;
    const auto bytes = STACKTIDE_TRY(record(*root, index, fields.record_size));
    const Record read(bytes);
    Span span{read.number(fields.lo), read.number(fields.size), read.number(fields.stack_size), read.number(fields.first),
              ""};
    span.state = enum_text(enum_texts(descriptor_, "span", "state"), read.signed_number(fields.state));
    return span;
  }

  Memory& memory_;
  const Descriptor& descriptor_;
  const Layout& layout_;
  Address lo_;
  Address hi_;
};

bool usable(const Descriptor& descriptor, const char* name, const char* type) {
  const auto* root = descriptor.root(name);
  return root != nullptr && root->address != 0 && root->count != 0 && root->type != STACKTIDE_NO_TYPE &&
         descriptor.types[root->type].name == type;
}

}  // namespace

Result<std::optional<ArenaPlace>> arena_place(Memory& memory, const Descriptor& descriptor, const Layout& layout,
                                              const Snapshot& snapshot, Address address) {
  const auto value = [&](const char* name) {
    const auto found = snapshot.scheduler.values.find(name);
    return found == snapshot.scheduler.values.end() ? 0 : found->second;
  };
  const auto lo = value("arena_lo");
  const auto hi = value("arena_hi");
  if (lo >= hi || address < lo || address >= hi) return std::nullopt;
  if (!usable(descriptor, "spans", "span") || !usable(descriptor, "stack_cells", "stack_cell") || !layout.span.lo ||
      !layout.span.size || !layout.span.stack_size || !layout.span.state || !layout.stack_cell.next)
    return std::nullopt;
  // A span that cannot be read is one that was never used: the tables are made accessible with the arena.
  auto place = Arena(memory, descriptor, layout, lo, hi).at(address);
  if (!place && place.error().code == ErrorCode::memory_fault) return ArenaPlace{};
  if (!place) return std::unexpected(place.error());
  return *place;
}

}  // namespace stacktide
