// The audit of what stands between goroutines: queues, a deadlock, goroutines that nobody will wake or that pile up in one
// place.
#pragma once

#include <chrono>

#include "analyze/audit.h"
#include "stacktide/core/snapshot.h"

namespace stacktide {

// Goroutines that wait in one place for the same thing: from so many on, and for so long, they are suspected to have leaked;
// but not those that wait for a file descriptor.
struct LeakRule {
  std::size_t count = 10;
  std::chrono::nanoseconds wait = std::chrono::minutes(1);
};

// `complete`: the whole scheduler is exported, so that what is not there does not exist. Places of goroutines must be known.
void audit_scheduler(const Snapshot& snapshot, bool complete, const LeakRule& rule, Audit& audit);

}  // namespace stacktide
