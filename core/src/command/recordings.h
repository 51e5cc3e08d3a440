// `stacktide trace summary|show|export`: options, and from a recording to text.
//
// What is long is handed to `write` piece by piece, so that a recording of any length needs little memory.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command/arguments.h"
#include "stacktide/core/command.h"
#include "view/text.h"

namespace stacktide {

struct RecordingOutput {
  Style style;
  bool terminal = false;
  // Takes the next piece of what goes to the standard output; false when it cannot.
  std::function<bool(std::string_view)> write;
};

struct RecordingCommand {
  std::string_view name;
  std::string_view arguments;
  std::string_view summary;  // one line
  std::string_view help;     // lines that begin with "$ " are examples
  std::span<const OptionInfo> options;
  // Exit codes: 0; 2 for wrong options and unreadable files; 3 when the recording is damaged or has lost records.
  Result<CommandResult> (*run)(const Arguments& arguments, const RecordingOutput& output);
};

std::span<const RecordingCommand> recording_commands();
// Usage, options and examples.
std::string recording_help(const RecordingCommand& command);
CommandResult run_recording(const RecordingCommand& command, const std::vector<std::string>& words,
                            const RecordingOutput& output);

Result<CommandResult> run_trace_summary(const Arguments& arguments, const RecordingOutput& output);
Result<CommandResult> run_trace_show(const Arguments& arguments, const RecordingOutput& output);
Result<CommandResult> run_trace_export(const Arguments& arguments, const RecordingOutput& output);

}  // namespace stacktide
