// What stack growth costs by chain of calls, as a profile that `go tool pprof` reads.
//
// The format is a gzipped protobuf message (google/pprof, proto/profile.proto). Its eight messages have a handful of fields
// of two wire types, so they are written here by hand, in fewer lines than it takes to generate, link and ship protobuf's
// code for them; only zlib is used.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "analyze/trace_selection.h"
#include "stacktide/core/result.h"
#include "trace/recording.h"
#include "trace/totals.h"
#include "trace/trace_names.h"

namespace stacktide {

class GrowthProfile {
 public:
  // Records GROW to RELEASE count; others are ignored.
  void add(const TraceRecord& record, const TraceContext& context);
  // The whole file. Sample types: events/count, bytes_copied/bytes, growth_time/nanoseconds, longest/nanoseconds; each
  // sample has a label "entry", the goroutines' entry function. Error: not_supported, from zlib.
  Result<std::string> encode(const Recording& recording, TraceNames& names) const;

 private:
  std::map<std::pair<std::uint32_t, std::uint64_t>, Growth> sums_;  // by chain and entry
  std::uint64_t all_ = 0;                                           // but releases
  std::uint64_t timed_ = 0;                                         // of these
};

}  // namespace stacktide
