#include "elf/elf_headers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"

namespace stacktide {
namespace {

// What else people hand in as a core: systemd and others compress them.
std::string_view compression_of(std::span<const std::byte> bytes) {
  const auto starts_with = [&](std::string_view magic) {
    return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
  };
  if (starts_with("\x28\xb5\x2f\xfd")) return "zstd";
  if (starts_with("\x1f\x8b")) return "gzip";
  if (starts_with("\xfd"
                  "7zXZ"))
    return "xz";
  if (starts_with("\x04\x22\x4d\x18")) return "lz4";
  return "";
}

}  // namespace

Result<ElfHeader> parse_elf_header(std::span<const std::byte> bytes, const std::string& name) {
  if (bytes.size() < SELFMAG || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) {
    if (const auto compression = compression_of(bytes); !compression.empty()) {
      return fail(ErrorCode::not_an_elf_file,
                  fmt::format("{} is compressed with {}, decompress it first", name, compression));
    }
    return fail(ErrorCode::not_an_elf_file, fmt::format("{} is no ELF file", name));
  }
  const auto ident = [&](int index) {
    const auto at = static_cast<std::size_t>(index);
    return at < bytes.size() ? std::to_integer<int>(bytes[at]) : 0;
  };
  if (ident(EI_CLASS) != ELFCLASS64)
    return fail(ErrorCode::unsupported_target, fmt::format("{} is not a 64-bit ELF file", name));
  if (ident(EI_DATA) != ELFDATA2LSB)
    return fail(ErrorCode::unsupported_target, fmt::format("{} is not little-endian", name));
  const auto header = load<Elf64_Ehdr>(bytes, 0);
  if (!header) return fail(ErrorCode::not_an_elf_file, fmt::format("{} ends within its ELF header", name));
  if (header->e_machine != EM_X86_64) {
    return fail(ErrorCode::unsupported_target,
                fmt::format("{} is for another machine (ELF machine {})", name, header->e_machine));
  }
  ElfHeader result{.type = header->e_type,
                   .entry = header->e_entry,
                   .segments_offset = header->e_phoff,
                   .segment_count = header->e_phnum};
  if (header->e_phnum == PN_XNUM) {
    const auto section = load<Elf64_Shdr>(bytes, header->e_shoff);
    if (!section)
      return fail(ErrorCode::not_an_elf_file, fmt::format("{} ends before the count of its program headers", name));
    result.segment_count = section->sh_info;
  }
  if (result.segment_count != 0 && header->e_phentsize != sizeof(Elf64_Phdr)) {
    return fail(ErrorCode::not_an_elf_file, fmt::format("{} has program headers of {} bytes instead of {}", name,
                                                        header->e_phentsize, sizeof(Elf64_Phdr)));
  }
  if (result.segment_count > kMaxSegments) {
    return fail(ErrorCode::not_an_elf_file, fmt::format("{} claims {} program headers", name, result.segment_count));
  }
  return result;
}

std::vector<ElfSegment> parse_segments(std::span<const std::byte> table, std::uint32_t count) {
  const auto there = std::min<std::uint64_t>(count, table.size() / sizeof(Elf64_Phdr));
  std::vector<ElfSegment> segments;
  segments.reserve(there);
  for (std::uint64_t i = 0; i < there; ++i) {
    const auto header = *load<Elf64_Phdr>(table, i * sizeof(Elf64_Phdr));
    segments.push_back({.type = header.p_type,
                        .flags = header.p_flags,
                        .address = header.p_vaddr,
                        .memory_size = header.p_memsz,
                        .offset = header.p_offset,
                        .file_size = header.p_filesz});
  }
  return segments;
}

std::string build_id_in_notes(std::span<const std::byte> block, std::uint64_t alignment) {
  // SHA-1 has 20 bytes, UUIDs 16; --build-id=0x... allows any length, of which this many are kept.
  constexpr std::size_t kMaxBuildId = 64;
  std::string result;
  for_each_note(block, alignment,
                [&](std::string_view name, std::uint32_t type, std::uint64_t, std::span<const std::byte> payload) {
                  if (name != "GNU" || type != NT_GNU_BUILD_ID || payload.empty()) return true;
                  result = to_hex(slice(payload, 0, kMaxBuildId));
                  return false;
                });
  return result;
}

}  // namespace stacktide
