// `trace advise FILE`: what a recording says about first sizes, hot splits and thrash.
#pragma once

#include <string>
#include <vector>

#include "stacktide/core/command.h"
#include "view/text.h"

namespace stacktide {

// The words behind `trace advise`. Exit codes: 2 usage, or a file that cannot be read; 3 it is damaged, or records were
// lost.
CommandResult run_advise(const std::vector<std::string>& words, const Style& style);
std::string advise_help();

}  // namespace stacktide
