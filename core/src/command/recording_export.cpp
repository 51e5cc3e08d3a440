// `trace export`: a recording in another format, written as it is read.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "analyze/trace_selection.h"
#include "command/recording_access.h"
#include "command/recordings.h"
#include "view/pprof.h"
#include "view/trace_lines.h"
#include "view/trace_perfetto.h"

namespace stacktide {
namespace {

constexpr std::size_t kPiece = 64U << 10;  // bytes that are written at once

using Write = std::function<bool(std::string_view)>;
using Exporter = Result<bool> (*)(const Recording&, TraceNames&, const Write&);

// `append(text, record, context)` for each record; false when the output could not be written.
template <class Append>
bool stream(const Recording& recording, std::string& piece, const Write& write, Append append) {
  TraceSelection selection;
  bool writes = true;
  recording.visit([&](const TraceRecord& record) {
    if (!writes) return;
    append(piece, record, selection.follow(record));
    if (piece.size() < kPiece) return;
    writes = write(piece);
    piece.clear();
  });
  return writes;
}

Result<bool> write_json_lines(const Recording& recording, TraceNames& names, const Write& write) {
  TraceJsonLines lines(recording.info(), names);
  std::string piece;
  lines.append_head(piece);
  const bool writes = stream(
      recording, piece, write,
      [&](std::string& out, const TraceRecord& record, const TraceContext& context) { lines.append(out, record, context); });
  return writes && write(piece);
}

Result<bool> write_perfetto(const Recording& recording, TraceNames& names, const Write& write) {
  PerfettoTrace trace(recording.info(), names);
  std::string piece;
  trace.begin(piece);
  const bool writes = stream(
      recording, piece, write,
      [&](std::string& out, const TraceRecord& record, const TraceContext& context) { trace.append(out, record, context); });
  trace.end(piece);
  return writes && write(piece);
}

Result<bool> write_pprof(const Recording& recording, TraceNames& names, const Write& write) {
  GrowthProfile profile;
  TraceSelection selection;
  recording.visit([&](const TraceRecord& record) { profile.add(record, selection.follow(record)); });
  return write(STACKTIDE_TRY(profile.encode(recording, names)));
}

Exporter exporter_of(std::string_view format) {
  if (format == "jsonl") return write_json_lines;
  if (format == "perfetto") return write_perfetto;
  if (format == "pprof") return write_pprof;
  return nullptr;
}

}  // namespace

Result<CommandResult> run_trace_export(const Arguments& arguments, const RecordingOutput& output) {
  const auto format = arguments.value("--format");
  const auto exporter = exporter_of(format);
  if (exporter == nullptr)
    return fail(ErrorCode::usage, fmt::format("trace export: --format wants jsonl, perfetto or pprof, not '{}'", format));
  const auto path = arguments.value("-o");
  if (path.empty() && output.terminal && format == "pprof")
    return fail(ErrorCode::usage, "trace export: a profile is no text for a terminal: give -o FILE");
  const auto recording = STACKTIDE_TRY(Recording::open(arguments.positionals().front()));
  const auto system_error = [&] { return fail(ErrorCode::io_error, fmt::format("{}: {}", path, std::strerror(errno))); };
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file(path.empty() ? nullptr : std::fopen(path.c_str(), "wb"));
  if (!path.empty() && file == nullptr) return system_error();
  const Write write = path.empty() ? output.write : Write([&](std::string_view text) {
    return std::fwrite(text.data(), 1, text.size(), file.get()) == text.size();
  });
  RecordedNames names(recording);
  const bool written = STACKTIDE_TRY(exporter(recording, names, write));
  if (path.empty() && !written) return fail(ErrorCode::io_error, "cannot write the output");
  if (!path.empty() && (!written || std::fclose(file.release()) != 0)) return system_error();
  CommandResult result;
  warn_of_recording(result, recording, names);
  return result;
}

}  // namespace stacktide
