#include "elf/module_headers.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "elf/elf_headers.h"

namespace stacktide {
namespace {

// Real programs have about a dozen program headers and notes of some hundred bytes.
constexpr std::uint32_t kMaxModuleSegments = 4096;
constexpr std::uint64_t kMaxNoteBytes = 64 * 1024;
constexpr std::size_t kMaxNoteBlocks = 64;
// A module that claims more than this is damaged: the user half of the address space has 2^47 bytes.
constexpr std::uint64_t kMaxModuleSize = std::uint64_t{1} << 46U;
constexpr Address kPage = 4096;

Address page_down(Address address) { return address / kPage * kPage; }

}  // namespace

std::optional<Address> load_bias_of(const std::vector<ElfSegment>& segments, Address start) {
  for (const ElfSegment& segment : segments) {
    if (segment.type == PT_LOAD && page_down(segment.offset) == 0)
      return start - page_down(segment.address - segment.offset);
  }
  return std::nullopt;
}

Result<ModuleHeaders> read_module_headers(Memory& memory, Address start) {
  const std::string name = fmt::format("what is mapped at {:#x}", start);
  std::array<std::byte, sizeof(Elf64_Ehdr)> first;
  if (auto done = memory.read(start, first); !done) return std::unexpected(done.error());
  const ElfHeader header = STACKTIDE_TRY(parse_elf_header(first, name));
  if (header.type != ET_EXEC && header.type != ET_DYN) {
    return fail(ErrorCode::damaged_data, fmt::format("{} has ELF type {}", name, header.type), start);
  }
  if (header.segment_count == 0 || header.segment_count > kMaxModuleSegments || header.segments_offset > kMaxModuleSize) {
    return fail(ErrorCode::damaged_data, fmt::format("{} has {} program headers", name, header.segment_count), start);
  }
  std::vector<std::byte> table(header.segment_count * sizeof(Elf64_Phdr));
  if (auto done = memory.read(start + header.segments_offset, table); !done) return std::unexpected(done.error());

  ModuleHeaders result;
  result.type = header.type;
  result.entry = header.entry;
  result.segments = parse_segments(table, header.segment_count);
  const auto bias = load_bias_of(result.segments, start);
  if (!bias) return fail(ErrorCode::damaged_data, fmt::format("{} maps nothing from the start of its file", name), start);
  result.load_bias = *bias;
  result.end = start;
  for (std::size_t i = 0; i < result.segments.size(); ++i) {
    const ElfSegment& segment = result.segments[i];
    const Address at = result.load_bias + segment.address;
    // Notes outside the module would be somebody else's bytes.
    if (at < page_down(start) || !fits(at - page_down(start), segment.memory_size, kMaxModuleSize)) {
      if (segment.type != PT_LOAD) continue;
      return fail(ErrorCode::damaged_data, fmt::format("{} has a segment outside of itself", name), at);
    }
    if (segment.type == PT_LOAD) result.end = std::max(result.end, at + segment.memory_size);
    if (segment.type != PT_NOTE || result.notes.size() >= kMaxNoteBlocks) continue;
    NoteBlock block{.address = at, .alignment = load<Elf64_Phdr>(table, i * sizeof(Elf64_Phdr))->p_align, .bytes = {}};
    block.bytes.resize(std::min(segment.file_size, kMaxNoteBytes));
    block.bytes.resize(std::min(block.bytes.size(), memory.read_up_to(at, block.bytes)));
    if (result.build_id.empty()) result.build_id = build_id_in_notes(block.bytes, block.alignment);
    result.notes.push_back(std::move(block));
  }
  return result;
}

}  // namespace stacktide
