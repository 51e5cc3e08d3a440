// A recording in the Trace Event Format, as ui.perfetto.dev and chrome://tracing open it.
//
// Concept. A track ("thread") per goroutine: its waits are slices named by their reason, its stack events instants with
// their numbers, and a counter "goroutine 7 stack" shows its size over all segments. Times are microseconds since the trace
// began.
//
// Streaming: an event is written when its record comes, a wait when it ends. The format wants no order. What is kept is a
// few words for each goroutine that lives, and texts by chain.
//
// Rejected: Perfetto's own protobuf. It is half the size, but only one viewer reads it, and no one by eye.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "analyze/trace_selection.h"
#include "trace/recording.h"
#include "trace/trace_names.h"

namespace stacktide {

class PerfettoTrace {
 public:
  // Names and info outlive it.
  PerfettoTrace(const RecordingInfo& info, TraceNames& names);
  void begin(std::string& out);
  void append(std::string& out, const TraceRecord& record, const TraceContext& context);
  // Also the waits that did not end.
  void end(std::string& out);

 private:
  struct Track {
    bool waits = false;
    std::uint16_t reason = 0;
    std::uint32_t chain = 0;  // where it waits
    std::int64_t since = 0;
  };
  void event(std::string& out, char phase, std::string_view name, std::int64_t time, std::uint64_t goroutine);
  void name_track(std::string& out, std::uint64_t goroutine, std::uint64_t entry, std::string_view label);
  void counter(std::string& out, std::int64_t time, std::uint64_t goroutine, std::uint64_t size);
  void stack_event(std::string& out, const stacktide_trace_stack& stack, const TraceContext& context);
  void wait(std::string& out, std::uint64_t goroutine, const Track& track, std::int64_t until, std::string_view more);
  const std::string& needed_room(std::uint32_t chain);
  const std::string& at(std::uint32_t chain);
  const std::string& reason(std::uint16_t value);

  const RecordingInfo& info_;
  std::int64_t origin_;
  TraceNames& names_;
  bool first_ = true;
  std::unordered_map<std::uint64_t, Track> tracks_;
  // As JSON.
  std::unordered_map<std::uint32_t, std::string> needed_;
  std::unordered_map<std::uint32_t, std::string> places_;
  std::unordered_map<std::uint16_t, std::string> reasons_;
};

}  // namespace stacktide
