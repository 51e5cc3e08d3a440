// What a goroutine's stack will do next, in words: at the next check, and when the monitor looks for stacks to shrink.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "stacktide/core/snapshot.h"

namespace stacktide {

struct StackReport {
  std::string next_check;
  std::optional<bool> will_shrink = false;  // nothing: the runtime does not say
  std::string shrink;  // "yes, to 2048 bytes: 312 of 4096 are used", "no: ..."
};

StackReport report_stack(const Goroutine& goroutine, const Snapshot& snapshot);

// Says the runtime that its stacks never grow, shrink or move?
bool stacks_are_fixed(const Snapshot& snapshot);
// A constant of the runtime's, or `otherwise`.
std::int64_t constant_of(const Snapshot& snapshot, const std::string& name, std::int64_t otherwise);

}  // namespace stacktide
