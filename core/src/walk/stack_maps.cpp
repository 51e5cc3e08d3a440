#include "walk/stack_maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace stacktide {
namespace {

std::unexpected<Error> damaged(std::string what) {
  return fail(ErrorCode::damaged_data, fmt::format("stack maps: {}", what));
}

// A table of `count` entries of `size` bytes inside a block.
Result<void> check_table(const char* what, std::uint64_t offset, std::uint64_t count, std::uint64_t size,
                         std::uint64_t limit) {
  if (fits(offset, count * size, limit)) return {};
  return damaged(fmt::format("the {} from {} on, {} of {} bytes, do not fit in {} bytes", what, offset, count, size, limit));
}

// One header of each block begins alike: magic, version, header_size, size.
template <class Header>
Result<Header> read_header(std::span<const std::byte> block, std::uint32_t magic, const char* what) {
  const auto header = load<Header>(block, 0);
  if (!header) return damaged(fmt::format("{} are {} bytes, less than their header", what, block.size()));
  if (header->magic != magic) return damaged(fmt::format("{} begin with {:#x}, not {:#x}", what, header->magic, magic));
  if (header->version != STACKTIDE_MAPS_VERSION) {
    return fail(ErrorCode::unsupported_contract,
                fmt::format("{} are version {}, this stacktide knows {}", what, header->version, STACKTIDE_MAPS_VERSION));
  }
  if (header->header_size < sizeof(Header) || header->size > block.size() || header->header_size > header->size)
    return damaged(fmt::format("{} say that they are {} bytes, of which {} are there", what, header->size, block.size()));
  return *header;
}

}  // namespace

Result<StackMaps> StackMaps::parse(std::vector<std::byte> maps, Address address, std::vector<std::byte> names) {
  StackMaps parsed;
  parsed.maps_ = std::move(maps);
  parsed.names_ = std::move(names);
  if (parsed.maps_.size() > kMaxMapBytes || parsed.names_.size() > kMaxMapBytes)
    return damaged(fmt::format("more than {} bytes", kMaxMapBytes));
  parsed.header_ = STACKTIDE_TRY(read_header<stacktide_maps_header>(parsed.maps_, STACKTIDE_MAPS_MAGIC, "stack maps"));
  const auto& header = parsed.header_;
  if (auto done =
          check_table("regions", header.region_offset, header.region_count, sizeof(stacktide_map_region), header.size);
      !done)
    return std::unexpected(done.error());
  if (auto done = check_table("sites", header.site_offset, header.site_count, sizeof(stacktide_map_site), header.size);
      !done)
    return std::unexpected(done.error());
  if (auto done = check_table("shapes", header.shape_offset, header.shape_size, 1, header.size); !done)
    return std::unexpected(done.error());
  if (auto done = parsed.read_regions(address); !done) return std::unexpected(done.error());
  if (auto done = parsed.check_sites(); !done) return std::unexpected(done.error());
  if (parsed.names_.empty()) return parsed;
  parsed.names_header_ =
      STACKTIDE_TRY(read_header<stacktide_names_header>(parsed.names_, STACKTIDE_NAMES_MAGIC, "names of stack maps"));
  if (auto done = parsed.check_names(); !done) return std::unexpected(done.error());
  return parsed;
}

Result<void> StackMaps::read_regions(Address address) {
  std::uint64_t sites = 0;
  for (std::uint32_t i = 0; i < header_.region_count; ++i) {
    const std::uint64_t at = header_.region_offset + std::uint64_t{i} * sizeof(stacktide_map_region);
    const auto raw = *load<stacktide_map_region>(maps_, at);
    const Address begin = address + at + offsetof(stacktide_map_region, code) + static_cast<std::uint64_t>(raw.code);
    // Each site belongs to one region, in order: so no look-up can leave its region's sites.
    if (raw.first_site != sites || raw.site_count > header_.site_count - sites)
      return damaged(fmt::format("region {} has sites {} to {}, of {}", i, raw.first_site,
                                 std::uint64_t{raw.first_site} + raw.site_count, header_.site_count));
    sites += raw.site_count;
    regions_.push_back({begin, raw.size, raw.first_site, raw.site_count, i});
  }
  if (sites != header_.site_count) return damaged(fmt::format("{} of {} sites are in a region", sites, header_.site_count));
  std::ranges::sort(regions_, {}, &Region::begin);
  for (std::size_t i = 1; i < regions_.size(); ++i) {
    const auto& before = regions_[i - 1];
    if (regions_[i].begin - before.begin < before.size)
      return damaged(fmt::format("the regions at {:#x} and {:#x} overlap", before.begin, regions_[i].begin));
  }
  return {};
}

Result<void> StackMaps::check_sites() const {
  const auto shapes = std::span<const std::byte>(maps_).subspan(header_.shape_offset, header_.shape_size);
  for (const auto& region : regions_) {
    for (std::uint32_t i = 0; i < region.site_count; ++i) {
      const auto index = region.first_site + i;
      const auto site = raw_site(index);
      // The address behind a call at the very end of a region is one past its last byte.
      if (site.pc > region.size || (i != 0 && site.pc <= raw_site(index - 1).pc))
        return damaged(fmt::format("site {} at {:#x} is out of order", index, region.begin + site.pc));
      const auto offset = STACKTIDE_SITE_SHAPE(site.shape);
      if (offset == STACKTIDE_NO_SHAPE) continue;
      const auto shape = load<stacktide_map_shape>(shapes, std::uint64_t{offset} * 4);
      const std::uint64_t words = shape ? static_cast<std::uint64_t>(__builtin_popcount(shape->saved)) + shape->runs : 0;
      if (!shape || shape->cfa > STACKTIDE_CFA_AT_RBP || (shape->saved >> STACKTIDE_MAP_REGISTER_COUNT) != 0 ||
          !fits(std::uint64_t{offset} * 4 + sizeof(stacktide_map_shape), words * 2, shapes.size()))
        return damaged(fmt::format("site {} at {:#x} has no believable shape", index, region.begin + site.pc));
    }
  }
  return {};
}

Result<void> StackMaps::check_names() const {
  const auto& names = names_header_;
  if (names.site_count != header_.site_count)
    return damaged(fmt::format("names for {} sites, of {}", names.site_count, header_.site_count));
  if (auto done = check_table("lists of names", names.site_offset, names.site_count, sizeof(std::uint32_t), names.size);
      !done)
    return done;
  if (auto done = check_table("pins", names.pin_offset, names.pin_count, sizeof(stacktide_map_pin), names.size); !done)
    return done;
  if (auto done = check_table("texts", names.text_offset, names.text_size, 1, names.size); !done) return done;
  if (names.text_size != 0 && names_[names.text_offset + names.text_size - 1] != std::byte{0})
    return damaged("the last text has no end");
  return {};
}

stacktide_map_site StackMaps::raw_site(std::uint64_t index) const {
  stacktide_map_site site;
  std::memcpy(&site, maps_.data() + header_.site_offset + index * sizeof site, sizeof site);
  return site;
}

}  // namespace stacktide
