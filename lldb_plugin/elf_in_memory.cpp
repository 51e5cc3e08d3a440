#include "elf_in_memory.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace stacktide::lldb_plugin {
namespace {

constexpr std::size_t kMaxProgramHeaders = 128;  // real files have about a dozen
constexpr std::size_t kMaxNotes = 4096;          // bytes of one PT_NOTE

std::string build_id_in(std::span<const std::byte> notes, std::size_t alignment) {
  auto align = [alignment](std::size_t size) { return (size + alignment - 1) / alignment * alignment; };
  for (std::size_t at = 0; at + sizeof(Elf64_Nhdr) <= notes.size();) {
    Elf64_Nhdr note{};
    std::memcpy(&note, notes.data() + at, sizeof note);
    std::size_t name = at + sizeof note;
    std::size_t payload = name + align(note.n_namesz);
    if (payload > notes.size() || note.n_descsz > notes.size() - payload) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(notes.data() + name, "GNU", 4) == 0) {
      std::string hex;
      for (std::byte byte : notes.subspan(payload, note.n_descsz))
        hex += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
      return hex;
    }
    at = payload + align(note.n_descsz);
  }
  return "";
}

}  // namespace

std::optional<ElfInMemory> elf_in_memory(Memory& memory, Address start) {
  auto header = memory.read_value<Elf64_Ehdr>(start);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
      header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_machine != EM_X86_64 ||
      (header->e_type != ET_EXEC && header->e_type != ET_DYN) || header->e_phentsize != sizeof(Elf64_Phdr)) {
    return std::nullopt;
  }
  std::vector<Elf64_Phdr> segments(std::min<std::size_t>(header->e_phnum, kMaxProgramHeaders));
  if (!memory.read(start + header->e_phoff, std::as_writable_bytes(std::span(segments)))) return std::nullopt;
  // The segment that maps file offset 0 is the one that starts here.
  auto first = std::ranges::find_if(segments, [](const Elf64_Phdr& s) { return s.p_type == PT_LOAD && s.p_offset == 0; });
  if (first == segments.end()) return std::nullopt;
  ElfInMemory found{.load_bias = start - first->p_vaddr, .end = start, .build_id = ""};
  for (const Elf64_Phdr& segment : segments) {
    Address address = found.load_bias + segment.p_vaddr;
    if (segment.p_type == PT_LOAD) {
      Address end = address + segment.p_memsz;
      if (end >= address) found.end = std::max(found.end, end);
    } else if (segment.p_type == PT_NOTE && found.build_id.empty()) {
      std::vector<std::byte> notes(std::min<std::size_t>(segment.p_filesz, kMaxNotes));
      notes.resize(memory.read_up_to(address, notes));
      found.build_id = build_id_in(notes, segment.p_align == 8 ? 8 : 4);
    }
  }
  return found;
}

}  // namespace stacktide::lldb_plugin
