// What a recording comes to, for people: sums per entry function, per function that needed room, per goroutine, per wait
// reason.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trace/recording.h"
#include "trace/totals.h"
#include "trace/trace_names.h"

namespace stacktide {

struct EntrySum {
  TracePlace entry;  // without a function: goroutines whose start is not in the trace
  std::uint64_t goroutines = 0;
  std::uint64_t live = 0;  // of these, those that did not end
  std::uint64_t high_water = 0;
  Growth growth;
};

struct FunctionSum {
  TracePlace function;  // that needed room; empty: not known
  TracePlace caller;
  Growth growth;
};

struct WaitSum {
  std::string reason;
  std::uint64_t waiting = 0;  // goroutines that still were, at the end
  WaitTotals totals;
};

struct TraceSummary {
  TraceSummary() = default;
  // Not copied: it points into its totals.
  TraceSummary(TraceSummary&&) = default;
  TraceTotals totals;
  std::uint64_t live = 0;  // goroutines that did not end
  // All of them, what cost most first.
  std::vector<EntrySum> entries;
  std::vector<FunctionSum> functions;
  std::vector<const GoroutineTotals*> goroutines;  // those with stack events; of `totals`
  std::vector<WaitSum> waits;
  std::uint64_t compared = 0;          // goroutines whose own counters are in the trace
  std::vector<std::string> different;  // those that differ from the sums, a line each; some of them
};

// Goes over the whole recording.
TraceSummary summarize(const Recording& recording, TraceNames& names);

}  // namespace stacktide
