// Where a module keeps its unwind tables: the search table in .eh_frame_hdr, which the loader maps.
#pragma once

#include <cstdint>
#include <string>

#include "stacktide/core/target.h"
#include "unwind/memory_view.h"

namespace stacktide {

// In addresses of the target.
struct UnwindTable {
  Address header = 0;       // start of .eh_frame_hdr; table entries are relative to it
  Address entries = 0;      // first entry: two 32-bit offsets {start of function, FDE}, sorted
  std::uint64_t count = 0;  // entries
  std::string problem;      // for people; "" when the table can be used
  bool usable() const { return problem.empty(); }
};

UnwindTable find_unwind_table(MemoryView& memory, ImageCache& images, const Module& module);

}  // namespace stacktide
