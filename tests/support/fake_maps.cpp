#include "support/fake_maps.h"

#include <span>

namespace stacktide::test {
namespace {

template <class T>
void append(std::vector<std::byte>& block, const T& value) {
  const auto raw = std::as_bytes(std::span(&value, 1));
  block.insert(block.end(), raw.begin(), raw.end());
}

void append(std::vector<std::byte>& block, const std::vector<std::byte>& more) {
  block.insert(block.end(), more.begin(), more.end());
}

std::vector<std::byte> shape_of(const FakeSite& site) {
  std::vector<std::byte> bytes;
  stacktide_map_shape shape{};
  shape.cfa = site.cfa;
  shape.flags = site.flags;
  for (const auto& [reg, word] : site.saved) shape.saved = static_cast<std::uint8_t>(shape.saved | 1U << reg);
  shape.runs = static_cast<std::uint16_t>(site.runs.size());
  shape.offset = site.offset;
  append(bytes, shape);
  for (const auto& [reg, word] : site.saved) append(bytes, word);
  for (const auto& [kind, count] : site.runs) append(bytes, static_cast<std::uint16_t>(kind << 14U | count));
  while (bytes.size() % 4 != 0) bytes.push_back({});
  return bytes;
}

std::uint32_t text(std::string& pool, const std::string& name) {
  const auto offset = static_cast<std::uint32_t>(pool.size());
  pool += name;
  pool += '\0';
  return offset;
}

}  // namespace

std::vector<std::byte> FakeMaps::maps(Address address) const {
  const auto count = static_cast<std::uint32_t>(sites.size());
  std::vector<std::byte> shapes;
  std::vector<std::byte> table;
  for (const auto& site : sites) {
    const auto offset = site.no_shape ? STACKTIDE_NO_SHAPE : static_cast<std::uint32_t>(shapes.size() / 4);
    if (!site.no_shape) append(shapes, shape_of(site));
    append(table, stacktide_map_site{site.pc, offset | site.scalars << 20U | site.pointers << 26U});
  }
  stacktide_maps_header header{};
  header.magic = STACKTIDE_MAPS_MAGIC;
  header.version = STACKTIDE_MAPS_VERSION;
  header.header_size = sizeof header;
  header.region_offset = sizeof header;
  header.region_count = 1;
  header.site_offset = static_cast<std::uint32_t>(sizeof header + sizeof(stacktide_map_region));
  header.site_count = count;
  header.shape_offset = static_cast<std::uint32_t>(header.site_offset + table.size());
  header.shape_size = static_cast<std::uint32_t>(shapes.size());
  header.size = header.shape_offset + header.shape_size;
  std::vector<std::byte> block;
  append(block, header);
  append(block, stacktide_map_region{static_cast<std::int64_t>(code - (address + sizeof header)), code_size, 0, count, 0});
  append(block, table);
  append(block, shapes);
  return block;
}

std::vector<std::byte> FakeMaps::names() const {
  std::string pool(1, '\0');
  std::vector<std::byte> lists;
  std::vector<std::byte> offsets;
  const auto first = sizeof(stacktide_names_header) + sites.size() * sizeof(std::uint32_t);
  for (const auto& site : sites) {
    append(offsets, static_cast<std::uint32_t>(site.variables.empty() ? 0 : first + lists.size()));
    if (site.variables.empty()) continue;
    append(lists, static_cast<std::uint32_t>(site.variables.size()));
    for (const auto& one : site.variables) {
      const auto name = text(pool, one.name);
      append(lists, stacktide_map_variable{one.offset, one.size, name, text(pool, one.type), one.reg, one.kind});
    }
  }
  std::vector<std::byte> pinned;
  for (const auto& pin : pins) {
    const auto name = text(pool, pin.name);
    append(pinned, stacktide_map_pin{0, pin.begin, pin.end, name, text(pool, pin.type)});
  }
  stacktide_names_header header{};
  header.magic = STACKTIDE_NAMES_MAGIC;
  header.version = STACKTIDE_MAPS_VERSION;
  header.header_size = sizeof header;
  header.site_offset = sizeof header;
  header.site_count = static_cast<std::uint32_t>(sites.size());
  header.pin_offset = static_cast<std::uint32_t>(first + lists.size());
  header.pin_count = static_cast<std::uint32_t>(pins.size());
  header.text_offset = static_cast<std::uint32_t>(header.pin_offset + pinned.size());
  header.text_size = static_cast<std::uint32_t>(pool.size());
  header.size = header.text_offset + header.text_size;
  std::vector<std::byte> block;
  append(block, header);
  append(block, offsets);
  append(block, lists);
  append(block, pinned);
  for (const char c : pool) block.push_back(static_cast<std::byte>(c));
  return block;
}

}  // namespace stacktide::test
