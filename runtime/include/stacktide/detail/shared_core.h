// The part of what a handle stands for that handles change by themselves: how many there are. It is the first word of the
// core, so that copying a handle needs no call into the runtime.
#pragma once

#include <atomic>
#include <cstdint>

namespace stacktide::detail {

struct shared_core {
  void retain() { references.fetch_add(1, std::memory_order_relaxed); }
  // True: that was the last handle.
  bool release() { return references.fetch_sub(1, std::memory_order_acq_rel) == 1; }

  std::atomic<std::uint64_t> references = 1;
};

// Is this a handle? It may be moved as bytes, and nobody keeps its address.
template <class T>
inline constexpr bool is_handle = false;

}  // namespace stacktide::detail
