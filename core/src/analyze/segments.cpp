#include "analyze/segments.h"

#include <algorithm>

namespace stacktide {
namespace {

// The CFA is one past the frame's own bytes.
bool ends_on(const Segment& segment, Address cfa) { return cfa > segment.lo && cfa <= segment.hi; }

}  // namespace

void place_in_segments(std::vector<Frame>& frames, const Stack& stack) {
  for (auto& frame : frames) {
    const auto segment = std::ranges::find_if(stack.segments, [&](const Segment& one) { return ends_on(one, frame.cfa); });
    if (segment == stack.segments.end()) continue;
    frame.segment = static_cast<std::size_t>(segment - stack.segments.begin());
    // Where the goroutine left this segment.
    const bool left = segment->sp >= segment->lo && segment->sp < frame.cfa;
    if (!left || (frame.sp >= segment->sp && frame.sp < frame.cfa)) continue;
    frame.sp = segment->sp;
    frame.size = frame.cfa - frame.sp;
  }
}

}  // namespace stacktide
