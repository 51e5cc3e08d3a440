// Frames by the stack maps alone, as the runtime finds them when it copies a stack: for comparing with what unwinding by CFI
// finds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "walk/stack_maps.h"

namespace stacktide {

// rsp is where the callee's CFA lies, so the first byte of the frame.
struct MapContext {
  Address pc = 0;  // a return address
  Address sp = 0;
  Address bp = 0;
};

struct MapStep {
  Address cfa = 0;
  MapContext caller;
};

// From one frame to its caller by the frame's map. Errors: memory_fault; damaged_data when the CFA is not above sp.
Result<MapStep> step_by_map(const MapSite& site, const MapContext& frame, Memory& memory);

}  // namespace stacktide
