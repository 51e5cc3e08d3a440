// Running the compiler driver.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "object.h"

namespace stacktide::link {

// Runs `command` (found on PATH) and waits: its exit status, 128 + N if signal N ended it, or why it could not be started.
Result<int> run_command(const std::vector<std::string>& command);

// The same with both outputs in the file `output`, which is replaced, and messages in English.
Result<int> run_captured(const std::vector<std::string>& command, const std::filesystem::path& output);

// Becomes `command`. Returns only on failure, with the reason.
std::string replace_process(const std::vector<std::string>& command);

}  // namespace stacktide::link
