// Reads one moment of a program for `diff`: from a core, from the output of `list --json`, or from a trace.
//
// Concept. The kind is found by the file's first bytes, never by its name. Each reader passes goroutines one by one through
// the conditions into groups, so that neither the JSON of a million goroutines nor their stacks are ever in memory as a
// whole.
#pragma once

#include <string>

#include "analyze/moment.h"
#include "analyze/select.h"
#include "stacktide/core/result.h"

namespace stacktide {

struct MomentSource {
  std::string path;        // "-": standard input, for lists only
  std::string executable;  // of a core, "" the one that it names
};

struct MomentWish {
  Matcher matcher;
  bool located = false;  // a condition asks for a field that is known after locating only
};

// What lies in a file, by its first bytes. Errors: io_error; usage for anything else, and for a core or trace on standard
// input.
Result<MomentKind> moment_kind(const MomentSource& source);
// Errors: those of the reader; usage, io_error. What could not be read of it stands in `problems`.
Result<Moment> read_moment(const MomentSource& source, MomentKind kind, const MomentWish& wish);

Result<Moment> read_core_moment(const MomentSource& source, const MomentWish& wish);
Result<Moment> read_list_moment(const MomentSource& source, const MomentWish& wish);
Result<Moment> read_trace_moment(const MomentSource& source, const MomentWish& wish);

}  // namespace stacktide
