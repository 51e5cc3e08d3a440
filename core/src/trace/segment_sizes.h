// How large a goroutine's stack is over all its segments, by its stack events.
//
// Each event tells the newest segment's size, before and after; older segments are those that links were seen of. So an
// event that is missing does not lead astray for long.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stacktide/trace_file.h"

namespace stacktide {

struct SegmentSizes {
  std::uint64_t older = 0;  // bytes below the newest segment
  std::uint64_t now = 0;    // bytes of all
  std::uint64_t first = 0;  // bytes at the start, or before the first event
  bool known = false;

  void start(std::uint64_t size) {
    if (known) return;
    known = true;
    first = now = size;
  }
  void see(const stacktide_trace_stack& event) {
    const bool release = event.head.kind == STACKTIDE_TRACE_RELEASE;
    if (!known && release) older = event.new_size;
    start(older + event.old_size);
    if (event.head.kind == STACKTIDE_TRACE_LINK) older += event.old_size;
    if (release) older -= std::min<std::uint64_t>(older, event.new_size);
    now = older + event.new_size;
  }
};

}  // namespace stacktide
