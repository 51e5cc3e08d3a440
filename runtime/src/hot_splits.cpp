#include "hot_splits.h"

#include <mutex>

namespace stacktide::runtime {

constinit HotSplit hot_splits[kHotSplits] = {};

namespace {

constexpr std::uint32_t kRest = kHotSplits - 1;  // what has no place of its own
constexpr std::uint32_t kProbes = 16;

// Guards new records; leaf lock.
constinit std::mutex splits_lock;

std::uint32_t home_of(std::uint64_t pc, std::uint64_t caller) {
  return static_cast<std::uint32_t>((pc * 0x9e3779b97f4a7c15 ^ caller * 0xc2b2ae3d27d4eb4f) >> 40) % kRest;
}

// The boundary's record or the free one that it may have; nullptr: neither.
HotSplit* probe(std::uint64_t pc, std::uint64_t caller) {
  const std::uint32_t home = home_of(pc, caller);
  for (std::uint32_t i = 0; i < kProbes; ++i) {
    HotSplit& split = hot_splits[(home + i) % kRest];
    // Pairs with the store in enter(): whoever sees the pc sees the caller.
    const std::uint64_t there = split.pc.load(std::memory_order_acquire);
    if (there == 0 || (there == pc && split.caller == caller)) return &split;
  }
  return nullptr;
}

HotSplit* enter(std::uint64_t pc, std::uint64_t caller) {
  std::lock_guard guard(splits_lock);
  HotSplit* split = probe(pc, caller);
  if (split != nullptr && split->pc.load(std::memory_order_relaxed) == 0) {
    split->caller = caller;
    split->pc.store(pc, std::memory_order_release);
  }
  return split;
}

}  // namespace

void count_split(std::uint64_t pc, std::uint64_t caller, std::uint64_t bytes, bool allocated) {
  HotSplit* split = probe(pc, caller);
  if (split != nullptr && split->pc.load(std::memory_order_relaxed) == 0) split = enter(pc, caller);
  if (split == nullptr) split = &hot_splits[kRest];
  split->count.fetch_add(1, std::memory_order_relaxed);
  if (allocated) split->allocated.fetch_add(1, std::memory_order_relaxed);
  std::uint64_t most = split->bytes.load(std::memory_order_relaxed);
  while (bytes > most && !split->bytes.compare_exchange_weak(most, bytes, std::memory_order_relaxed)) {
  }
}

}  // namespace stacktide::runtime
