#include "stacktide/core/snapshot.h"

#include <algorithm>

namespace stacktide {

Goroutine* Snapshot::find(std::uint64_t id) {
  const auto found = std::ranges::lower_bound(goroutines, id, {}, &Goroutine::id);
  return found != goroutines.end() && found->id == id ? &*found : nullptr;
}

}  // namespace stacktide
