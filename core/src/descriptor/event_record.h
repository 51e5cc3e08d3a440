// A stack event as the runtime records it, for all who read rings: the walker and the trace.
#pragma once

#include "descriptor/layout.h"
#include "descriptor/record.h"
#include "stacktide/core/snapshot.h"

namespace stacktide {

inline constexpr std::uint64_t kMaxRings = 1U << 16;
inline constexpr std::uint64_t kMaxRingCapacity = 1U << 24;

struct Ring {
  Address records = 0;
  std::uint64_t capacity = 0;
  std::uint64_t count = 0;
};
Ring to_ring(const Layout& layout, const Record& record);
// Whether a ring can be read at all: there, and of a size that rings have.
bool is_believable(const Ring& ring);
// The events [first_readable, count) can still be read. Of a full ring the oldest slot is where the next event goes, and a
// writer that was stopped half way has ruined it, so it counts as lost.
std::uint64_t first_readable(const Ring& ring);

// Without function, file, line, ring and number. `kinds`: the texts of event.kind.
StackEvent to_event(const Layout& layout, const EnumTexts* kinds, const Record& record);

}  // namespace stacktide
