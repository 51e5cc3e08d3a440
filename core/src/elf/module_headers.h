// The ELF headers of a module as they lie in the target's memory.
//
// Concept. The first page of a mapped ELF file holds its ELF header, its program headers and usually its notes; the kernel
// puts that page into every core. So the build-id, the load bias and any note are known although the file on disk is gone or
// is another build. What is read is hostile: counts and sizes are capped, and a part that is absent is left out, not made
// up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "elf/image.h"
#include "stacktide/core/result.h"
#include "stacktide/core/target.h"

namespace stacktide {

// The contents of one PT_NOTE as far as they could be read, for for_each_note.
struct NoteBlock {
  Address address = 0;  // in the target: a payload's address is this plus its offset in the block
  std::uint64_t alignment = 4;
  std::vector<std::byte> bytes;
};

struct ModuleHeaders {
  std::uint16_t type = 0;            // ET_EXEC or ET_DYN
  Address entry = 0;                 // e_entry, in the file's own addresses
  Address load_bias = 0;             // added to the file's addresses, modulo 2^64
  Address end = 0;                   // one past the highest byte of a PT_LOAD in the target
  std::vector<ElfSegment> segments;  // in the file's own addresses
  std::string build_id;              // lower-case hex, "" none
  std::vector<NoteBlock> notes;
};

// What to add to the addresses of a file with these segments whose offset 0 is mapped at `start`; nothing when no segment
// maps offset 0.
std::optional<Address> load_bias_of(const std::vector<ElfSegment>& segments, Address start);

// Reads them from the page where file offset 0 is mapped. Errors: memory_fault when the header or the program headers are
// absent; not_an_elf_file, unsupported_target; damaged_data when the program headers make no sense.
Result<ModuleHeaders> read_module_headers(Memory& memory, Address start);

}  // namespace stacktide
