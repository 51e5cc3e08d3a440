// `trace show`: filters, and the records that meet them.
#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "analyze/trace_selection.h"
#include "command/recording_access.h"
#include "command/recordings.h"
#include "trace/event_log.h"
#include "view/recording.h"
#include "view/trace.h"
#include "view/trace_lines.h"

namespace stacktide {
namespace {

constexpr std::size_t kPromptLines = 200;
constexpr std::size_t kPiece = 64U << 10;  // bytes that are written at once

// "1.5s", "200ms", "30us", "5ns" in nanoseconds; a number alone is seconds.
std::optional<std::int64_t> parse_time(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double scale = 0;
  if (unit.empty() || unit == "s") scale = 1e9;
  if (unit == "ms") scale = 1e6;
  if (unit == "us") scale = 1e3;
  if (unit == "ns") scale = 1;
  constexpr double kMost = 9e18;
  if (scale == 0 || !(value * scale > -kMost && value * scale < kMost)) return std::nullopt;
  return static_cast<std::int64_t>(value * scale);
}

Result<void> set_time(std::int64_t& bound, const Arguments& arguments, std::string_view option, std::int64_t origin) {
  if (!arguments.has(option)) return {};
  const auto time = parse_time(arguments.value(option));
  if (!time)
    return fail(ErrorCode::usage,
                fmt::format("trace show: {} wants a time as 1.5s or 200ms, not '{}'", option, arguments.value(option)));
  if (__builtin_add_overflow(origin, *time, &bound)) bound = *time < 0 ? INT64_MIN : INT64_MAX;
  return {};
}

Result<TraceSelection> selection_of(const Arguments& arguments, std::int64_t origin) {
  TraceSelection selection;
  selection.goroutine = STACKTIDE_TRY(arguments.number("--goroutine"));
  if (arguments.has("--entry")) selection.entry = STACKTIDE_TRY(Pattern::compile(arguments.value("--entry")));
  if (arguments.has("--function")) selection.function = STACKTIDE_TRY(Pattern::compile(arguments.value("--function")));
  if (arguments.has("--kind")) {
    if (auto done = selection.set_kinds(arguments.value("--kind")); !done)
      return fail(ErrorCode::usage, fmt::format("trace show: {}", done.error().context));
  }
  if (auto done = set_time(selection.from, arguments, "--from", origin); !done) return std::unexpected(done.error());
  if (auto done = set_time(selection.to, arguments, "--to", origin); !done) return std::unexpected(done.error());
  return selection;
}

// The picture wants all stack events of a goroutine: without its releases, links would pile up.
bool has_all_stack_events(const TraceSelection& selection) {
  constexpr std::uint32_t kStackEvents = 0b11110;
  return (selection.kinds & kStackEvents) == kStackEvents && !selection.function;
}

void log_event(EventLog& log, const TraceRecord& record) {
  const auto kind = record.kind();
  if (kind < STACKTIDE_TRACE_GROW || kind > STACKTIDE_TRACE_RELEASE) return;
  const auto& stack = record.as<stacktide_trace_stack>();
  StackEvent event;
  event.time = record.head->time;
  event.goroutine = record.head->goroutine;
  event.kind = kind_name(kind);
  event.old_size = stack.old_size;
  event.new_size = stack.new_size;
  event.used = stack.used;
  log.add(event, 0);
}

}  // namespace

Result<CommandResult> run_trace_show(const Arguments& arguments, const RecordingOutput& output) {
  const bool json = arguments.has("--json");
  if (json && !arguments.value("--json").empty() && arguments.value("--json") != "lines")
    return fail(ErrorCode::usage, "trace show: --json takes only the value lines");
  const auto recording = STACKTIDE_TRY(Recording::open(arguments.positionals().front()));
  const auto& info = recording.info();
  auto selection = STACKTIDE_TRY(selection_of(arguments, origin_of(info)));
  const auto limit = STACKTIDE_TRY(arguments.number("--limit")).value_or(output.terminal && !json ? kPromptLines : 0);
  RecordedNames names(recording);
  TraceLines lines(info, names);
  TraceJsonLines json_lines(info, names);
  EventLog log;
  std::string piece;
  std::uint64_t found = 0;
  bool writes = true;
  const bool draws = !json && has_all_stack_events(selection);
  if (json) json_lines.append_head(piece);
  recording.visit([&](const TraceRecord& record) {
    const auto context = selection.follow(record);
    if (!writes || !selection.matches(record, context, names)) return;
    if (draws) log_event(log, record);
    if (++found > limit && limit != 0) return;
    json ? json_lines.append(piece, record, context) : lines.append(piece, record, context);
    if (piece.size() < kPiece) return;
    writes = output.write(piece);
    piece.clear();
  });
  CommandResult result;
  if (!json) {
    if (limit != 0 && found > limit) piece += fmt::format("{} more: --limit 0\n", grouped(found - limit));
    if (found == 0) piece += "no record meets the conditions\n";
    if (const auto picture = trace_picture(log, output.style); !picture.empty()) {
      piece += '\n';
      if (log.total() > log.events().size())
        piece += fmt::format("the latest {} of {}:\n", grouped(log.events().size()), plural(log.total(), "stack event"));
      piece += picture;
    }
  }
  if (!writes || !output.write(piece)) return fail(ErrorCode::io_error, "cannot write the output");
  warn_of_recording(result, recording, names);
  return result;
}

}  // namespace stacktide
