#include "command/recordings.h"

#include <fmt/format.h>

#include <array>

#include "command/recording_access.h"
#include "view/recording.h"

namespace stacktide {
namespace {

constexpr std::array kSummaryOptions = {
    OptionInfo{"--limit", Takes::value, "N", "at most N rows of each table, 10 without this; 0: all"},
    OptionInfo{"--json", Takes::nothing, "", "print JSON, schema stacktide-trace/1"},
};
constexpr std::array kShowOptions = {
    OptionInfo{"--goroutine", Takes::value, "ID", "only what it did"},
    OptionInfo{"--entry", Takes::value, "REGEX", "only goroutines whose entry function matches"},
    OptionInfo{"--function", Takes::value, "REGEX", "only stack events of functions that match, and waits in them"},
    OptionInfo{"--kind", Takes::value, "KIND,...", "grow, shrink, link, release, spawn, exit, live, park, ready, label"},
    OptionInfo{"--from", Takes::value, "TIME", "from this time on: 1.5s, 200ms, 30us, 5ns"},
    OptionInfo{"--to", Takes::value, "TIME", "up to this time"},
    OptionInfo{"--limit", Takes::value, "N",
               "the first N; 0: all, which is so without this unless a terminal is written to"},
    OptionInfo{"--json", Takes::maybe_value, "lines", "print JSON Lines, schema stacktide-trace/1"},
};
constexpr std::array kExportOptions = {
    OptionInfo{"--format", Takes::value, "jsonl|perfetto|pprof", "which format"},
    OptionInfo{"-o", Takes::value, "FILE", "write to this file; without it to the standard output"},
};

constexpr std::array kCommands = {
    RecordingCommand{
        "summary", "FILE", "what stacks cost: totals, by entry function, by function that needed room",
        "Tables are in order of the time that stack events took. grows: stacks copied to larger ones; hot: links to a\n"
        "new segment by the function that crossed the boundary last; thrash: grows after a shrink after a grow.\n"
        "Exit code 3: the recording is damaged or has lost records; what is there is shown.\n"
        "$ stacktide trace summary t.stt\n"
        "$ stacktide trace summary t.stt --limit 0\n"
        "$ stacktide trace summary t.stt --json",
        kSummaryOptions, run_trace_summary},
    RecordingCommand{"show", "FILE", "a line for each thing that happened, in order of time, and sizes over time",
                     "Times are seconds since recording began.\n"
                     "Exit code 3: the recording is damaged or has lost records; what is there is shown.\n"
                     "$ stacktide trace show t.stt --goroutine 7\n"
                     "$ stacktide trace show t.stt --kind grow,shrink --from 1.5s --to 1.6s\n"
                     "$ stacktide trace show t.stt --entry worker --json=lines",
                     kShowOptions, run_trace_show},
    RecordingCommand{
        "export", "FILE", "the recording in a format that other programs read",
        "jsonl: a JSON object per line, as show --json=lines has it.\n"
        "perfetto: for ui.perfetto.dev: a track per goroutine with its waits and stack events, its stack's size as a\n"
        "counter.\n"
        "pprof: what growth costs by chain of calls, for `go tool pprof`: events, bytes_copied, growth_time, longest\n"
        "(the longest single one; pprof adds them up over chains).\n"
        "$ stacktide trace export t.stt --format perfetto -o t.json\n"
        "$ stacktide trace export t.stt --format pprof -o t.pb.gz && go tool pprof -top t.pb.gz\n"
        "$ stacktide trace export t.stt --format jsonl | jq 'select(.kind == \"grow\")'",
        kExportOptions, run_trace_export},
};

}  // namespace

std::span<const RecordingCommand> recording_commands() { return kCommands; }

std::string recording_help(const RecordingCommand& command) {
  auto out = fmt::format("stacktide trace {} {} [OPTIONS]\n\n{}\n\n", command.name, command.arguments, command.summary);
  std::string examples;
  for (std::string_view rest = command.help; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    (line.starts_with("$ ") ? examples : out) += fmt::format("{}{}\n", line.starts_with("$ ") ? "  " : "", line);
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  return out + "\noptions:\n" + options_text(command.options) + "\nexamples:\n" + examples;
}

CommandResult run_recording(const RecordingCommand& command, const std::vector<std::string>& words,
                            const RecordingOutput& output) {
  const auto name = fmt::format("trace {}", command.name);
  auto arguments = Arguments::parse(name, words, command.options, 1);
  if (arguments && arguments->positionals().empty())
    arguments = fail(ErrorCode::usage,
                     fmt::format("{}: of which recording? stacktide trace {} {}", name, command.name, command.arguments));
  auto result = arguments ? command.run(*arguments, output) : std::unexpected(arguments.error());
  if (!result) return {"", result.error().context + "\n", 2};
  return *std::move(result);
}

void warn_of_recording(CommandResult& result, const Recording& recording, const RecordedNames& names) {
  const auto& info = recording.info();
  for (const auto& line : info.damage) result.err += fmt::format("{}: {}\n", info.path, line);
  if (info.header.lost != 0) result.err += fmt::format("{}: {} lost\n", info.path, plural(info.header.lost, "record"));
  if (info.end.empty()) result.err += fmt::format("{}: {}\n", info.path, end_text(info));
  for (const auto& line : names.warnings()) result.err += line + "\n";
  if (!info.damage.empty() || info.header.lost != 0) result.exit_code = 3;
}

Result<CommandResult> run_trace_summary(const Arguments& arguments, const RecordingOutput& output) {
  constexpr std::size_t kRows = 10;
  const auto limit = STACKTIDE_TRY(arguments.number("--limit")).value_or(kRows);
  const auto rows = limit == 0 ? SIZE_MAX : static_cast<std::size_t>(limit);
  const auto recording = STACKTIDE_TRY(Recording::open(arguments.positionals().front()));
  RecordedNames names(recording);
  const auto summary = summarize(recording, names);
  CommandResult result;
  result.out = arguments.has("--json") ? dump(summary_json(recording.info(), summary, names, rows))
                                       : summary_text(recording.info(), summary, names, rows, output.style);
  warn_of_recording(result, recording, names);
  return result;
}

}  // namespace stacktide
