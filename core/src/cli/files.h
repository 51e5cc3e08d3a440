// Commands of the program that open no target: record, trace, diff. They work on files and have their own options.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/debuggers.h"

namespace stacktide::cli {

// Runs argv[1] if it is one of them; nothing otherwise.
std::optional<Done> run_on_files(int argc, char** argv);
// What `help record` prints; nothing for other words.
std::optional<std::string> files_help(std::string_view word);
// The rows of these in `--help`.
std::string files_usage();
// Their names, and for bash's completion a case branch each: options after a dash, else files; of trace the commands first.
std::vector<std::string> file_command_names();
std::string files_completion();

// Each gets the words behind its name. Text that is long is written to stdout as it comes, not returned.
Done record(const std::vector<std::string>& words);
Done trace(const std::vector<std::string>& words);
std::vector<std::string> trace_command_names();
Done diff(const std::vector<std::string>& words);
// Of `trace`.
Done trace_check(const std::vector<std::string>& words);
Done trace_advise(const std::vector<std::string>& words);

}  // namespace stacktide::cli
