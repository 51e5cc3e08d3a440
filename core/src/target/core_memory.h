// Memory of a core: what was dumped, and what the kernel left out because a file holds it.
//
// Concept. A default core leaves out pages of files that were never written to: text, unwind tables, constants. Those bytes,
// and only those, are taken from the module's file, and only from a file that is the same build. Invariants. Absent bytes
// are a fault, never zeroes: p_filesz < p_memsz means "not saved", not ".bss". A page that may have been written to is never
// taken from a file: not where the core says writable, not in a segment that the file says is written (RELRO is such a one),
// not where the core once held the bytes and was cut.
#pragma once

#include <vector>

#include "elf/image.h"
#include "stacktide/core/target.h"
#include "target/core_file.h"

namespace stacktide {

class CoreMemory : public Memory {
 public:
  // A stretch of the target's memory that a file holds unchanged, as far as the core does not say otherwise.
  struct FileRange {
    Address start = 0;
    Address end = 0;
    Address load_bias = 0;
    const Image* image = nullptr;
  };

  // `segments` outlives the memory.
  explicit CoreMemory(const std::vector<CoreSegment>& segments) : segments_(segments) {}
  std::size_t read_up_to(Address address, std::span<std::byte> out) override;
  // Ranges by start, not overlapping; their images outlive the memory.
  void set_files(std::vector<FileRange> files) { files_ = std::move(files); }

 private:
  std::size_t read_piece(Address address, std::span<std::byte> out) const;
  std::size_t read_file(Address address, std::span<std::byte> out) const;

  const std::vector<CoreSegment>& segments_;
  std::vector<FileRange> files_;
};

}  // namespace stacktide
