// An ELF file on disk, opened once and shared: sections, notes, symbols and bytes by address.
//
// Concept. Symbolizer, unwinder and core targets need the same files. ImageCache opens each at most once per target and
// keeps libelf's handle; Image answers in the file's own addresses (subtract Module::load_bias first). Nothing here trusts
// the file: sizes and offsets are checked by libelf or here, and a broken file is an Error, never a crash.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "stacktide/core/result.h"
#include "stacktide/core/target.h"

struct Elf;

namespace stacktide {

struct ElfSegment {
  std::uint32_t type = 0;   // PT_LOAD, PT_NOTE, PT_GNU_EH_FRAME, ...
  std::uint32_t flags = 0;  // PF_R, PF_W, PF_X
  Address address = 0;      // p_vaddr
  std::uint64_t memory_size = 0;
  std::uint64_t offset = 0;
  std::uint64_t file_size = 0;
};

class Image {
 public:
  // Errors: io_error, not_an_elf_file, unsupported_target.
  static Result<std::unique_ptr<Image>> open(const std::string& path);
  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  const std::string& path() const { return path_; }
  std::uint16_t type() const { return type_; }  // ET_EXEC, ET_DYN, ET_CORE
  const std::vector<ElfSegment>& segments() const { return segments_; }
  const std::string& build_id() const { return build_id_; }           // lower-case hex, "" none
  Address entry() const { return entry_; }                            // e_entry, in the file's own addresses
  std::span<const std::byte> bytes() const { return file_.bytes(); }  // the whole file, mapped
  Elf* elf() const { return elf_; }                                   // owned by the image; for libdw
  // Bytes of a PT_LOAD at a file address; short when the file holds fewer.
  std::size_t read_up_to(Address address, std::span<std::byte> out) const;

 private:
  Image() = default;
  std::string path_;
  std::uint16_t type_ = 0;
  std::vector<ElfSegment> segments_;
  std::string build_id_;
  Address entry_ = 0;
  MappedFile file_;
  Elf* elf_ = nullptr;
};

// Opens each file once; failures are remembered too. Not thread-safe.
class ImageCache {
 public:
  // The image, or nullptr (and the reason in *problem) when the file cannot be used.
  Image* get(const std::string& path, std::string* problem = nullptr);

 private:
  struct Entry {
    std::unique_ptr<Image> image;
    std::string problem;
  };
  std::map<std::string, Entry> entries_;
};

// Walks the notes in a block of bytes: calls visit(std::string_view name, std::uint32_t type, std::uint64_t offset of the
// payload in the block, std::span<const std::byte> payload) until it returns false. `alignment` is the p_align of the
// block's program header: 8 where it says 8, else 4, whatever it says, as in all readers. Stops at the first malformed note.
template <class Visit>
void for_each_note(std::span<const std::byte> block, std::uint64_t alignment, Visit visit) {
  const std::uint64_t unit = alignment == 8 ? 8 : 4;
  const auto aligned = [unit](std::uint64_t offset) { return (offset + unit - 1) / unit * unit; };
  struct {
    std::uint32_t name_size;
    std::uint32_t payload_size;
    std::uint32_t type;
  } header;
  // The sizes have 32 bits, so no sum of 64 bits here can overflow.
  for (std::uint64_t at = 0; at < block.size() && block.size() - at >= sizeof header;) {
    std::memcpy(&header, block.data() + at, sizeof header);
    const std::uint64_t name_at = at + sizeof header;
    const std::uint64_t payload_at = aligned(name_at + header.name_size);
    const std::uint64_t payload_end = payload_at + header.payload_size;
    if (payload_end > block.size()) return;
    std::string_view name(reinterpret_cast<const char*>(block.data() + name_at), header.name_size);
    name = name.substr(0, name.find('\0'));
    if (!visit(name, header.type, payload_at, block.subspan(payload_at, header.payload_size))) return;
    at = aligned(payload_end);
  }
}

}  // namespace stacktide
