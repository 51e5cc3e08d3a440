// The words of `goroutine`: what a person typed, what core's table knows, and LLDB command lines made of words.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stacktide/core/command.h"

namespace stacktide::lldb_plugin {

// What `goroutine help` says after core's table.
inline constexpr std::string_view kHostHelp =
    "\n"
    "In LLDB also:\n"
    "  goroutine                        which goroutine is selected\n"
    "  goroutine ID                     make goroutine ID a thread of LLDB, and select it\n"
    "  goroutine ID CMD                 run any LLDB command on it: `goroutine 7 bt`, `goroutine 7 frame variable`\n"
    "  goroutine all CMD                run it on each goroutine\n"
    "  goroutine thread                 go back to the thread that was selected before\n"
    "  goroutine threads on [LIMIT]     make all goroutines threads, now and at each later stop (2000 without LIMIT)\n"
    "  goroutine threads off            only the process's own threads again\n"
    "  goroutine trace on|off|show|check\n"
    "                                   print each growth and shrink of a stack as it happens; on takes --goroutine ID,\n"
    "                                   --function REGEX, --size-above N, --kind grow,shrink,segment, --stop (at each),\n"
    "                                   --bt, --quiet; show: a table, and sizes over time; check --rules FILE: what was\n"
    "                                   seen against rules, an error when some fail (lldb --batch ends with status 1)\n"
    "  info goroutines                  the same as `goroutine list`\n"
    "`goroutine ID stack` and `goroutine stack ID` mean the same. LLDB removes quotes from CMD; put a CMD that needs them "
    "in\n"
    "quotes as a whole: goroutine 7 'expression \"text\"'.\n";

// A decimal number that is the whole word.
std::optional<std::uint64_t> number(std::string_view word);
// Core's command of that name, or nullptr.
const CommandInfo* find_command(std::string_view word);
// Whether `goroutine 7 WORD` is core's `WORD 7`. `bt` and what core does not apply to one goroutine (`list`) are LLDB's.
bool is_core_command_on_goroutine(std::string_view word);
// Whether WORD is core's and about the whole program, so that it has no meaning after an id: `audit`.
bool is_core_command_on_program(std::string_view word);
// One LLDB command line from words whose quotes LLDB has removed. A single word is a line that the user quoted as a whole.
std::string command_line(std::span<const std::string> words);
// Core's problems, one line each. LLDB puts "error: " or "warning: " before what a command reports, so core's own go.
std::vector<std::string> problem_lines(std::string_view text);

}  // namespace stacktide::lldb_plugin
