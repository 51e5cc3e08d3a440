// A barrier in every thread of the process at once (membarrier(2), private and expedited). Who needs an order rarely pays
// for it, and who needs it all the time does not: library_call.h, solo.h.
#pragma once

namespace stacktide::runtime {

namespace detail_barrier {
extern bool registered;
}

// Once, at start, before other threads use what relies on it.
void prepare_process_barrier();
// The kernel may not have it (before 4.14).
inline bool has_process_barrier() { return detail_barrier::registered; }
// What threads did before is visible to this one, and what this one did to them.
void process_barrier();

}  // namespace stacktide::runtime
