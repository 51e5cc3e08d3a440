// The stack maps of a hostile program. The input is the maps block and the names block, one behind the other; the first two
// bytes say where it is cut. Magic, version, header size and size of both are put right, so that mutations get past them.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "analyze/map_frames.h"
#include "walk/map_walk.h"
#include "walk/stack_maps.h"

namespace {

constexpr stacktide::Address kAddress = 0x10000;

class NoMemory : public stacktide::Memory {
 public:
  std::size_t read_up_to(stacktide::Address, std::span<std::byte>) override { return 0; }
};

template <class Header>
void mend(std::vector<std::byte>& block, std::uint32_t magic) {
  Header header;
  if (block.size() < sizeof header) return;
  std::memcpy(&header, block.data(), sizeof header);
  header.magic = magic;
  header.version = STACKTIDE_MAPS_VERSION;
  header.header_size = sizeof header;
  header.size = static_cast<std::uint32_t>(block.size());
  std::memcpy(block.data(), &header, sizeof header);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t cut = std::min<std::size_t>(data[0] | data[1] << 8U, size - 2);
  const auto* bytes = reinterpret_cast<const std::byte*>(data + 2);
  std::vector<std::byte> maps(bytes, bytes + cut);
  std::vector<std::byte> names(bytes + cut, bytes + (size - 2));
  mend<stacktide_maps_header>(maps, STACKTIDE_MAPS_MAGIC);
  mend<stacktide_names_header>(names, STACKTIDE_NAMES_MAGIC);
  const auto read = stacktide::StackMaps::parse(std::move(maps), kAddress, std::move(names));
  if (!read) return 0;
  NoMemory memory;
  for (const auto pc : read->site_pcs()) {
    const auto site = read->site(pc);
    if (site && *site) {
      (void)stacktide::step_by_map(**site, {pc, kAddress, kAddress}, memory);
      // Large frames take long, and are no other.
      if ((*site)->cfa_offset < 4096) {
        for (const auto& word : stacktide::words_of(**site)) (void)stacktide::variables_text(word);
      }
    }
    (void)read->pins(pc);
  }
  return 0;
}
