// A recording record by record: as lines for people, and as JSON Lines.
//
// Both are made for millions of records: what is said of a chain of calls is made once, and the rest is appended to a text
// that the caller writes out and clears.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "analyze/trace_selection.h"
#include "stacktide/core/snapshot.h"
#include "trace/recording.h"
#include "trace/trace_names.h"

namespace stacktide {

class TraceLines {
 public:
  // Names and info outlive it.
  TraceLines(const RecordingInfo& info, TraceNames& names);
  // "    0.000300  goroutine 2 grew 2048 -> 4096 bytes, used 1500, in deep (a.cpp:10), called from main (a.cpp:20), took 900
  // ns\n". Seconds since the trace began.
  void append(std::string& out, const TraceRecord& record, const TraceContext& context);
  // ", in deep (a.cpp:10), called from main (a.cpp:20)"; "" where nothing is known.
  const std::string& needed_room(std::uint32_t chain);

 private:
  const std::string& at(std::uint32_t chain);
  std::int64_t origin_;
  TraceNames& names_;
  std::unordered_map<std::uint32_t, std::string> needed_;
  std::unordered_map<std::uint32_t, std::string> places_;  // ", in f (a.cpp:3)"
  StackEvent event_;
};

class TraceJsonLines {
 public:
  TraceJsonLines(const RecordingInfo& info, TraceNames& names);
  // {"schema":"stacktide-trace/1","recording":{...}}, the first line.
  void append_head(std::string& out) const;
  // {"time":300,"kind":"grow","goroutine":2,...,"frames":[...]}. Times are nanoseconds since the trace began.
  void append(std::string& out, const TraceRecord& record, const TraceContext& context);

 private:
  const std::string& frames(std::uint32_t chain);
  const std::string& entry(std::uint64_t address);
  const RecordingInfo& info_;
  std::int64_t origin_;
  TraceNames& names_;
  std::unordered_map<std::uint32_t, std::string> frames_;
  std::unordered_map<std::uint64_t, std::string> entries_;
};

}  // namespace stacktide
