// Writes into a trace file what its code addresses mean, so that it can be read where the program's files are not.
#pragma once

#include <optional>
#include <string>

#include "stacktide/core/result.h"

namespace stacktide {

// Appends chunks of the symbols' lane with a symbol record per level of each address that the file does not explain yet, and
// how the program ended (as waitpid() says it) if that is given and not in it. Twice does no more than once. Nobody may be
// writing the file. Errors: those of Recording::open(), io_error.
Result<void> append_symbols(const std::string& path, std::optional<int> wait_status);

}  // namespace stacktide
