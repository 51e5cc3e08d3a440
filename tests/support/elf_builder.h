// ELF files put together by hand, whole or deliberately broken: executables and cores for tests of readers.
//
// Concept. Say what is in it, then build() lays it out: header, program headers, contents in order. Every field of the two
// headers can be overridden afterwards, since broken files are the point.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "stacktide/core/target.h"

namespace stacktide::test {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text);
// Appends the object representation of a value.
template <class T>
  requires(std::is_trivially_copyable_v<T> && !std::is_convertible_v<const T&, std::string_view>)
void append(Bytes& bytes, const T& value) {
  const auto raw = std::as_bytes(std::span(&value, 1));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}
void append(Bytes& bytes, std::string_view text);
// One note, padded to `alignment`.
Bytes note(std::string_view name, std::uint32_t type, std::span<const std::byte> payload, std::size_t alignment = 4);

class ElfBuilder {
 public:
  explicit ElfBuilder(std::uint16_t type = ET_CORE);
  // Adds a segment with this content; memory_size 0 is the content's size. Returns its index.
  std::size_t add(std::uint32_t type, Address address, Bytes content, std::uint32_t flags = PF_R,
                  std::uint64_t memory_size = 0);
  // A PT_LOAD at file offset 0 that covers the header and the program headers, as linkers make it; call it first.
  std::size_t add_headers(Address address, std::uint32_t flags = PF_R | PF_X);
  Elf64_Ehdr& header() { return header_; }
  // Valid once laid out: build() takes over what was changed here, for every field that layout() had set.
  Elf64_Phdr& segment(std::size_t index) { return segments_[index].header; }
  // Sets offsets and counts; called by build() unless it was called before.
  void layout();
  Bytes build();
  // Writes build() into folder/name and returns the path.
  std::string write(const std::string& path);

 private:
  struct Segment {
    Elf64_Phdr header{};
    Bytes content;
    bool covers_headers = false;
  };
  Elf64_Ehdr header_{};
  std::vector<Segment> segments_;
  bool laid_out_ = false;
};

// Writes bytes into a file and returns its path.
std::string write_file(const std::string& path, std::span<const std::byte> bytes);
Bytes read_file(const std::string& path);

}  // namespace stacktide::test
