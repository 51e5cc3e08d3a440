// What the monitor does about Ps that run: see monitor.h. Monitor thread only.
#pragma once

#include <cstdint>

namespace stacktide::runtime {

// Looks at each P once. True: took one, or asked for one.
bool look_at_ps(std::int64_t now);

}  // namespace stacktide::runtime
