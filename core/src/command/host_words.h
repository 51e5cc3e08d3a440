// Words that only a debugger has, since they move its selection or run the program: here for their help and completion.
#pragma once

#include <span>

#include "stacktide/core/command.h"

namespace stacktide {

// Nothing for hosts that are no debuggers.
std::span<const CommandInfo> host_words(HostKind host);

}  // namespace stacktide
