#include "target/core_memory.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace stacktide {

std::size_t CoreMemory::read_up_to(Address address, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t got = read_piece(address + done, out.subspan(done));
    if (got == 0 || address + done + got < address) return done + got;
    done += got;
  }
  return done;
}

// From one segment or one file.
std::size_t CoreMemory::read_piece(Address address, std::span<std::byte> out) const {
  const CoreSegment* segment = segment_below(segments_, address);
  if (segment != nullptr && address < segment->end) {
    const auto bytes = slice(segment->bytes, address - segment->start, out.size());
    if (!bytes.empty()) {
      std::memcpy(out.data(), bytes.data(), bytes.size());
      return bytes.size();
    }
    if (address < segment->dumped || segment->writable) return 0;
    out = out.first(std::min<std::uint64_t>(out.size(), segment->end - address));
  } else {
    // No segment at all: gcore leaves such mappings out altogether. Up to the next one that there is.
    const auto next = std::ranges::upper_bound(segments_, address, {}, &CoreSegment::start);
    if (next != segments_.end()) out = out.first(std::min<std::uint64_t>(out.size(), next->start - address));
  }
  return read_file(address, out);
}

std::size_t CoreMemory::read_file(Address address, std::span<std::byte> out) const {
  const auto after = std::ranges::upper_bound(files_, address, {}, &FileRange::start);
  if (after == files_.begin()) return 0;
  const FileRange& range = *std::prev(after);
  if (address >= range.end) return 0;
  out = out.first(std::min<std::uint64_t>(out.size(), range.end - address));
  return range.image->read_up_to(address - range.load_bias, out);
}

}  // namespace stacktide
