// The mappings of a target's address space, as the system tells them: /proc/PID/maps, or the segments and files of a core.
//
// Rejected: asking the host (GDB's `info proc mappings` is text, and lists files only for a core; LLDB leaves out names on a
// core). A process of another machine has no mappings here, and the caller says so.
#pragma once

#include <string>
#include <vector>

#include "stacktide/core/target.h"

namespace stacktide {

struct Region {
  Address start = 0;
  Address end = 0;
  std::uint64_t offset = 0;  // bytes into the file
  bool readable = false;
  bool writable = false;
  bool executable = false;
  bool deleted = false;  // the path no longer names this file
  bool absent = false;   // of a file, and the core has left it out: its permissions are not known
  std::string name;      // path of the file, or the kernel's "[heap]", "[stack]", "[vdso]"; "" anonymous, or not known

  std::uint64_t size() const { return end - start; }
  // GDB's gcore writes memory that nobody may touch as read-only.
  bool may_be_guard() const { return name.empty() && !writable && !executable; }
};

// By address. Errors: not_supported for a process of another machine, and those of reading the files.
Result<std::vector<Region>> regions_of(const Target& target);

}  // namespace stacktide
