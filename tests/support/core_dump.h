// The notes of a core, put together by hand, and small cores made of them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "support/elf_builder.h"

namespace stacktide::test {

struct FileEntry {
  Address start = 0;
  Address end = 0;
  std::uint64_t page = 0;  // offset in pages, as the kernel counts
  std::string path;
};

// NT_PRSTATUS with these registers and zeroes elsewhere.
Bytes prstatus_note(std::uint32_t tid, Address rip, Address rsp);
Bytes prpsinfo_note(std::uint32_t pid, std::string_view program);
Bytes file_note(const std::vector<FileEntry>& entries);
Bytes auxv_note(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& entries);
Bytes joined(std::initializer_list<Bytes> parts);

// The first page of an executable or library as it lies in memory: ELF header, program headers, and a build-id note unless
// it is "". Text is one page at 0x1000, data one page at 0x2000 of the file's own addresses.
Bytes module_page(std::string_view build_id, std::uint16_t type = ET_DYN);

}  // namespace stacktide::test
