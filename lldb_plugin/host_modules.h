// The ELF files mapped into a process that LLDB holds.
//
// Concept. LLDB's own list is not enough: when the executable was deleted it has none at all (neither live nor on a core),
// and on a core with an executable of another build it puts that file at an address that is not even page-aligned and
// forgets the libraries. So:
//   1. a core file: core's own reading of it (memory still comes from LLDB);
//   2. a live process of this machine: core's own reading of /proc, believed only if LLDB sees the same headers at the same
//   addresses;
//   3. otherwise (remote): LLDB's modules whose ELF header lies in memory where LLDB says. If the executable is not among
//      them, every mapping that starts with an ELF header is taken.
// A file is offered for reading only if its build-id is that in memory, or if one of the two is unknown.
#pragma once

#include <lldb/API/LLDB.h>

#include <string>
#include <vector>

#include "stacktide/core/target.h"

namespace stacktide::lldb_plugin {

struct ModuleSearch {
  std::vector<Module> modules;
  std::vector<std::string> damage;  // of the target, one line each
  bool local = false;               // a live process of this machine
};

ModuleSearch find_host_modules(lldb::SBTarget target, lldb::SBProcess process, Memory& memory);

bool is_core(lldb::SBProcess& process);
// The path of the core file; "" where LLDB does not say (older ones).
std::string core_path(lldb::SBProcess& process);

}  // namespace stacktide::lldb_plugin
