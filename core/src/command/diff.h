// `diff OLD NEW`: reads two moments, compares them, prints. Belongs to no session: it opens its files itself.
#pragma once

#include <string>
#include <vector>

#include "stacktide/core/command.h"
#include "view/text.h"

namespace stacktide {

// The words behind `diff`. Exit codes: 1 a limit is exceeded, else 3 one of both is not whole; 2 usage, or one that cannot
// be read.
CommandResult run_diff(const std::vector<std::string>& words, const Style& style);
// What `diff --help` prints.
std::string diff_help();

// "65536", "64K", "64KiB", "3M", "1GiB"; nothing for other words.
std::optional<std::uint64_t> parse_size(std::string_view text);

}  // namespace stacktide
