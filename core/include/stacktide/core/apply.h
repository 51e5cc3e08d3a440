// `goroutine apply ID... CMD`: which goroutines, and where CMD begins. The words are those of GDB's `thread apply`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stacktide/core/command.h"

namespace stacktide {

struct Apply {
  std::vector<std::uint64_t> ids;  // in the order given
  bool quiet = false;              // -q: no line that names the goroutine
  bool silent = false;             // -s: nothing of goroutines for which CMD fails or prints nothing
  std::size_t used = 0;            // CMD begins at this word
};

// words: what follows `apply`. A range takes the goroutines that there are. Errors: usage; no_such_goroutine for an id, or a
// range, without any; those of Session::snapshot().
Result<Apply> plan_apply(Session& session, const std::vector<std::string>& words);

}  // namespace stacktide
