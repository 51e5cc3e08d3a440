// Hot splits: how often each boundary between two segments was crossed.
//
// Concept. A boundary is a call: the function that found too little room, and the place that called it. A loop around such a
// call pays for a switch of stacks at every turn; Go's segmented stacks were given up for that. Each link is counted here,
// by boundary, over all goroutines and for as long as the process lives, so that the tools can name the call when the
// goroutines that paid are gone.
//
// The table is exported as it is (abi.h, type hot_split) and bounded: boundaries that find no place are counted together in
// the last record. A record is found without a lock; a new one is written under one, its pc last.
//
// Rejected: counters per P (nobody sums them for a reader of a core); by function alone (what got slow is the callee, what
// can be changed the caller).
#pragma once

#include <atomic>
#include <cstdint>

namespace stacktide::runtime {

struct alignas(64) HotSplit {
  std::atomic<std::uint64_t> pc;         // return address in the function that needed room; 0: free, or the last record
  std::uint64_t caller;                  // return address in its caller
  std::atomic<std::uint64_t> count;      // links here
  std::atomic<std::uint64_t> allocated;  // of these, the ones that had to allocate a segment
  std::atomic<std::uint64_t> bytes;      // most that the function asked for: frame and stack arguments
};

inline constexpr std::uint32_t kHotSplits = 1024;
extern HotSplit hot_splits[kHotSplits];

// Counts one link at this boundary.
void count_split(std::uint64_t pc, std::uint64_t caller, std::uint64_t bytes, bool allocated);

}  // namespace stacktide::runtime
