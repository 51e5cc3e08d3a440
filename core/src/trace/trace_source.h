// Where records of a trace come from: a recording, or a program that a debugger holds.
//
// Concept. What judges a trace (analyze/check.h) reads records as often as it needs, in order of time, and asks for names. A
// recording can tell everything; what a live program has in its event rings is growth alone, so a source says which parts it
// cannot tell, and why.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "trace/trace_names.h"

namespace stacktide {

struct TraceFacts {
  std::string name;        // for people: the file's path, "process 7"
  std::string end;         // how the program ended, by its own words; "": not known, or it has not
  std::uint64_t lost = 0;  // records that are missing
  std::int64_t first = 0;  // ns, times of the first and the last record
  std::int64_t last = 0;
  std::int64_t began = 0;               // ns since 1970, 0 unknown
  std::vector<std::string> incomplete;  // why what it tells is not all that happened, a line each
};

// What rules are about.
enum class TracePart : std::uint8_t {
  growth,    // what stacks did
  names,     // entry functions and labels of goroutines
  lifetime,  // which goroutines there were, and whether each ended
  end,       // how the program ended
  losses,    // how much is missing
};

class TraceSource {
 public:
  virtual ~TraceSource() = default;
  virtual const TraceFacts& facts() const = 0;
  // Kinds GROW to LABEL, in order of time; the same each time it is called. A record is valid during the call.
  virtual void visit(const std::function<void(const stacktide_trace_head&)>& visitor) = 0;
  virtual TraceNames& names() = 0;
  // Why it cannot tell this part, as in "the event rings do not say which goroutines ended"; "": it can.
  virtual std::string lacks(TracePart) const { return ""; }
};

}  // namespace stacktide
