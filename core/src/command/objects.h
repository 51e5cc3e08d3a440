// Objects that goroutines wait for, by address: what the commands need of them beyond stacktide/core/objects.h.
#pragma once

#include <optional>

#include "stacktide/core/objects.h"

namespace stacktide {

// The object that some goroutine waits for, or the goroutine record, that `address` lies in. An object that nobody waits for
// cannot be told from other memory.
std::optional<ObjectReport> object_at(Session& session, Snapshot& snapshot, Address address);
// What this goroutine waits for: "channel 0x55d0c8, len 0 cap 0, 1 receiver waiting (goroutine 7)"; "" when it does not, or
// that is not known.
std::string waits_for(Session& session, const Goroutine& goroutine);

}  // namespace stacktide
