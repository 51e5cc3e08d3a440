// What commands on recordings share.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "command/arguments.h"
#include "stacktide/core/command.h"
#include "trace/recorded_names.h"
#include "trace/recording.h"

namespace stacktide {

// Adds what is wrong with the recording to result.err; its exit code becomes 3 when records are damaged or lost.
void warn_of_recording(CommandResult& result, const Recording& recording, const RecordedNames& names);

}  // namespace stacktide
