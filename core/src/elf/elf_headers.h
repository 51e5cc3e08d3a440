// The ELF header and program headers, parsed from bytes that nobody vouches for: a file, a core, or a target's memory.
//
// One parser for all three, so that each check exists once. Only what can be verified without the section table is here,
// since a core and a process's memory have none.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elf/image.h"
#include "stacktide/core/result.h"

namespace stacktide {

struct ElfHeader {
  std::uint16_t type = 0;  // ET_EXEC, ET_DYN, ET_CORE
  Address entry = 0;
  std::uint64_t segments_offset = 0;
  std::uint32_t segment_count = 0;
};

// Program headers beyond this many are not believed. The kernel writes one per mapping, and vm.max_map_count can be raised.
inline constexpr std::uint32_t kMaxSegments = 1U << 24U;

// Parses the header at the start of `bytes`; `name` is for messages. Errors: not_an_elf_file; unsupported_target for another
// word size, byte order or machine. Where there are more than 65534 segments, their count stands in the first section
// header, which must lie in `bytes`.
Result<ElfHeader> parse_elf_header(std::span<const std::byte> bytes, const std::string& name);

// The program headers in `table` (whose first byte is at segments_offset), as many of segment_count as are wholly in it.
std::vector<ElfSegment> parse_segments(std::span<const std::byte> table, std::uint32_t count);

// The NT_GNU_BUILD_ID in a block of notes as lower-case hex, or "".
std::string build_id_in_notes(std::span<const std::byte> block, std::uint64_t alignment);

}  // namespace stacktide
