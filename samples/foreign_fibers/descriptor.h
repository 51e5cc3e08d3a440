// What descriptor.cpp, the one file that knows stacktide, needs of the library: its table, and a call before the first
// fiber.
#pragma once

#include "fiber.h"

namespace fibers {

struct Table {
  Fiber* fibers;
  std::uint64_t capacity;
  std::uint64_t used;  // records from the first on that were ever in use
};
extern Table tables[1];

// Publishes the descriptor; later calls do nothing.
void publish();

}  // namespace fibers
