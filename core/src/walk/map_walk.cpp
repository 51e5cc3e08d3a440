#include "walk/map_walk.h"

#include <fmt/format.h>

namespace stacktide {

Result<MapStep> step_by_map(const MapSite& site, const MapContext& frame, Memory& memory) {
  const auto offset = static_cast<std::uint64_t>(static_cast<std::int64_t>(site.cfa_offset));
  MapStep step;
  switch (site.cfa_rule) {
    case STACKTIDE_CFA_RSP:
      step.cfa = frame.sp + offset;
      break;
    case STACKTIDE_CFA_RBP:
      step.cfa = frame.bp + offset;
      break;
    default:
      step.cfa = STACKTIDE_TRY(memory.read_value<Address>(frame.bp + offset));
  }
  if (step.cfa <= frame.sp) {
    return fail(ErrorCode::damaged_data,
                fmt::format("the map of {:#x} puts the CFA at {:#x}, not above sp {:#x}", site.pc, step.cfa, frame.sp));
  }
  step.caller.pc = STACKTIDE_TRY(memory.read_value<Address>(step.cfa - 8));
  step.caller.sp = step.cfa;
  step.caller.bp = frame.bp;
  if (site.cfa_rule == STACKTIDE_CFA_AT_RBP) {
    step.caller.bp = STACKTIDE_TRY(memory.read_value<Address>(frame.bp));
  } else if (const auto word = site.saved[STACKTIDE_MAP_RBP])
    step.caller.bp = STACKTIDE_TRY(memory.read_value<Address>(step.cfa - 8 * (std::uint64_t{*word} + 1)));
  return step;
}

}  // namespace stacktide
