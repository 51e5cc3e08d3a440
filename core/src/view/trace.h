// `trace show`: a table of the events that a trace saw, how sizes went over time, and totals. And the frames of --bt.
#pragma once

#include <cstdint>
#include <string>

#include "stacktide/core/snapshot.h"
#include "trace/event_log.h"
#include "view/text.h"

namespace stacktide {

struct TraceModel {
  const EventLog& log;
  std::size_t shown = 0;       // rows of the table, the latest
  std::uint64_t stops = 0;     // of the program, for this trace
  std::uint64_t filtered = 0;  // events that did not meet the conditions
  std::uint64_t lost = 0;
  bool on = false;
};

std::string trace_text(const TraceModel& model, const Style& style);

// Sizes over time. Of one goroutine its size as a chart; of several a row for each of the most active, a character per
// moment. "" without two different moments.
std::string trace_picture(const EventLog& log, const Style& style);

// The frames from the user's innermost on, a line each: "    #0 recurse (depth=3) at grow.cpp:33". At most 20.
std::string trace_frames(const Backtrace& backtrace);

}  // namespace stacktide
