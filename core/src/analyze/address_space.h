// The address space in rows a person can read: text, heap, the arena of goroutine stacks, thread stacks with their guard
// pages.
//
// Concept. Mappings come from the system, meaning from the snapshot: which lie in the arena, hold records, or a thread's
// stack. Neighbours of the same meaning are one row. What is only likely (the heap in a core, where no mapping has that
// name) says so in its detail.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stacktide/core/snapshot.h"
#include "target/regions.h"

namespace stacktide {

struct AddressRow {
  Address start = 0;
  Address end = 0;
  std::string
      kind;  // text, data, heap, arena, records, runtime, thread stack, guard, library, kernel, file, anonymous, reserved
  std::string detail;
  std::optional<std::uint64_t> used;  // bytes: of a thread's stack those in use, of the arena those that are accessible
  std::uint64_t size() const { return end - start; }
};

// Fills stack and guard of threads: an M's as the runtime says, of others the mapping that holds their sp and the
// inaccessible one below it.
void find_thread_stacks(Snapshot& snapshot, const std::vector<Region>& regions);

struct AddressSpace {
  std::vector<AddressRow> rows;  // by address
  std::size_t mappings = 0;
};
struct NamedAddress {
  Address address = 0;
  std::string name;
};
// find_thread_stacks() first. `modules`: the main program first. `roots`: of the runtime, to name its tables by.
AddressSpace address_space(const Snapshot& snapshot, const std::vector<Region>& regions, const std::vector<Module>& modules,
                           const std::vector<NamedAddress>& roots);

}  // namespace stacktide
