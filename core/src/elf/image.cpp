#include "elf/image.h"

#include <elfutils/libdwelf.h>
#include <fmt/format.h>
#include <libelf.h>

#include "base/bytes.h"
#include "elf/elf_headers.h"

namespace stacktide {

Result<std::unique_ptr<Image>> Image::open(const std::string& path) {
  auto image = std::unique_ptr<Image>(new Image);
  image->path_ = path;
  image->file_ = STACKTIDE_TRY(MappedFile::open(path));
  const auto bytes = image->bytes();
  const ElfHeader header = STACKTIDE_TRY(parse_elf_header(bytes, path));
  image->type_ = header.type;
  image->entry_ = header.entry;
  image->segments_ = parse_segments(slice(bytes, header.segments_offset, bytes.size()), header.segment_count);
  if (image->segments_.size() < header.segment_count) {
    return fail(ErrorCode::not_an_elf_file,
                fmt::format("{} ends before its {} program headers", path, header.segment_count));
  }
  elf_version(EV_CURRENT);
  // elf_memory takes a mutable pointer for its writing modes; opened this way it only reads.
  image->elf_ = elf_memory(reinterpret_cast<char*>(const_cast<std::byte*>(bytes.data())), bytes.size());
  if (image->elf_ == nullptr) return fail(ErrorCode::not_an_elf_file, fmt::format("{}: {}", path, elf_errmsg(-1)));
  // By segments, and by sections where a file of separate debug info keeps only those.
  const void* id = nullptr;
  if (const auto size = dwelf_elf_gnu_build_id(image->elf_, &id); size > 0) {
    image->build_id_ = to_hex({static_cast<const std::byte*>(id), static_cast<std::size_t>(size)});
  }
  return image;
}

Image::~Image() {
  if (elf_ != nullptr) elf_end(elf_);
}

std::size_t Image::read_up_to(Address address, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const Address at = address + done;
    std::span<const std::byte> source;
    for (const ElfSegment& segment : segments_) {
      if (segment.type != PT_LOAD || at < segment.address || at - segment.address >= segment.file_size) continue;
      const std::uint64_t skip = at - segment.address;
      source = slice(slice(bytes(), segment.offset, segment.file_size), skip, out.size() - done);
      if (!source.empty()) break;
    }
    if (source.empty()) break;
    std::memcpy(out.data() + done, source.data(), source.size());
    done += source.size();
  }
  return done;
}

Image* ImageCache::get(const std::string& path, std::string* problem) {
  auto found = entries_.find(path);
  if (found == entries_.end()) {
    Entry entry;
    if (auto image = Image::open(path)) {
      entry.image = *std::move(image);
    } else {
      entry.problem = describe(image.error());
    }
    found = entries_.emplace(path, std::move(entry)).first;
  }
  if (problem != nullptr) *problem = found->second.problem;
  return found->second.image.get();
}

}  // namespace stacktide
