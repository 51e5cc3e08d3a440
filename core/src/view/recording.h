// Views of a recording: what it is, and `trace summary`.
#pragma once

#include <string>
#include <string_view>

#include "analyze/trace_summary.h"
#include "trace/recording.h"
#include "view/json.h"
#include "view/text.h"

namespace stacktide {

inline constexpr std::string_view kTraceSchema = "stacktide-trace/1";
// What is said of a trace without an end record.
inline constexpr std::string_view kNoEnd =
    "the trace has no end: the program was killed, crashed or is still running; it is read up to its last complete record";

// What times are counted from: when recording began, or the first record where that is not known.
std::int64_t origin_of(const RecordingInfo& info);
// "exit, status 0", "deadlock, killed by signal 9"; kNoEnd where there is none.
std::string end_text(const RecordingInfo& info);
// Rows about file, program, time, end and what is lost: a label and a text each.
void add_recording(Table& table, const RecordingInfo& info, const Style& style);
// The same as an object; times but "started" are nanoseconds since then.
Json recording_json(const RecordingInfo& info);
Json growth_json(const Growth& growth, const RecordingInfo& info);
// {"function":..., "file":..., "line":...}; null without a function.
Json place_json(const TracePlace& place);
// "deep (a.cpp:10)"; "" without a function.
std::string place_text(const TracePlace& place);

// At most `limit` rows of each table.
std::string summary_text(const RecordingInfo& info, const TraceSummary& summary, TraceNames& names, std::size_t limit,
                         const Style& style);
Json summary_json(const RecordingInfo& info, const TraceSummary& summary, TraceNames& names, std::size_t limit);

}  // namespace stacktide
