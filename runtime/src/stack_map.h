// Stack maps in the running program: where stacktide-link put them, and what copying made of them.
#pragma once

#include <atomic>
#include <cstdint>

#include "stacktide/stack_map.h"

namespace stacktide::runtime {

// Exported (abi.h, type stack_maps).
struct StackMaps {
  std::uint64_t address;
  std::uint64_t size;
  std::uint8_t adjust;  // adjust_maps or adjust_scan
  std::atomic<std::uint64_t> walks;
  std::atomic<std::uint64_t> complete;
  std::atomic<std::uint64_t> frames;
  std::atomic<std::uint64_t> words_skipped;
  std::atomic<std::uint64_t> words_checked;
  std::atomic<std::uint64_t> words_scanned;
  std::atomic<std::uint64_t> lookalikes;
};
extern StackMaps stack_maps;

}  // namespace stacktide::runtime
