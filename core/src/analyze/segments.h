// Which of a goroutine's segments each frame lies on.
#pragma once

#include <vector>

#include "stacktide/core/snapshot.h"

namespace stacktide {

// Fills Frame::segment, and puts sp and size of frames right that lie on another stack than their callee: unwinding takes
// the callee's CFA for their sp.
void place_in_segments(std::vector<Frame>& frames, const Stack& stack);

}  // namespace stacktide
