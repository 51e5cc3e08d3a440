// What the ELF header of a module says as it lies in the target's memory: extents, load bias, build-id.
//
// The target is hostile: counts and sizes are capped, absent parts leave their fields empty. Front ends see core's public
// headers only, and those have no such reader, as core's own targets need far more of it.
#pragma once

#include <optional>
#include <string>

#include "stacktide/core/target.h"

namespace stacktide::lldb_plugin {

struct ElfInMemory {
  Address load_bias = 0;
  Address end = 0;       // one past the highest mapped byte
  std::string build_id;  // lower-case hex, "" unknown
};

// Nothing when no ELF file of x86-64 starts there.
std::optional<ElfInMemory> elf_in_memory(Memory& memory, Address start);

}  // namespace stacktide::lldb_plugin
