// The parts of `audit`.
#pragma once

#include "analyze/audit.h"
#include "command/place_finder.h"

namespace stacktide {

// Everything about one goroutine.
void audit_goroutine(Session& session, const Snapshot& snapshot, PlaceFinder& finder, const Goroutine& goroutine,
                     Audit& audit);
// The writable data of the module that has the runtime: words that point into stacks.
void audit_data(Session& session, PlaceFinder& finder, Audit& audit);

}  // namespace stacktide
