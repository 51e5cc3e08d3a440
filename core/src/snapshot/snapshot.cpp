#include "stacktide/core/snapshot.h"

#include <algorithm>

namespace stacktide {

std::optional<std::uint64_t> Stack::depth(Address address) const {
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (address <= segments[i].lo || address > segments[i].hi) continue;
    std::uint64_t below = segments[i].hi - address;
    for (std::size_t older = i + 1; older < segments.size(); ++older) below += segments[older].used();
    return below;
  }
  return std::nullopt;
}

const char* guard_state_name(GuardState state) {
  switch (state) {
    case GuardState::armed:
      return "armed";
    case GuardState::preempt:
      return "preempt";
    case GuardState::force_move:
      return "force_move";
    case GuardState::none:
      return "none";
    case GuardState::corrupt:
      return "corrupt";
    case GuardState::unknown:
      return "unknown";
  }
  return "corrupt";
}

const char* target_kind_name(TargetKind kind) {
  switch (kind) {
    case TargetKind::process:
      return "process";
    case TargetKind::core:
      return "core";
    case TargetKind::host:
      return "host";
  }
  return "host";
}

Goroutine* Snapshot::find(std::uint64_t id) {
  const auto found = std::ranges::lower_bound(goroutines, id, {}, &Goroutine::id);
  return found != goroutines.end() && found->id == id ? &*found : nullptr;
}

}  // namespace stacktide
