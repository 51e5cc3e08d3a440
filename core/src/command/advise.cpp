#include "command/advise.h"

#include <fmt/format.h>

#include <array>

#include "analyze/advice.h"
#include "base/pattern.h"
#include "command/arguments.h"
#include "command/table.h"
#include "trace/recorded_names.h"
#include "view/advice.h"

namespace stacktide {
namespace {

constexpr std::array kOptions = {
    OptionInfo{"--entry", Takes::value, "REGEX", "only goroutines whose entry function matches"},
    OptionInfo{"--limit", Takes::value, "N",
               "at most N entry functions, hot splits and thrashing calls; 0 all (default 20, with --json all)"},
    OptionInfo{"--json", Takes::nothing, "", "JSON of the schema stacktide-advice/1"},
    OptionInfo{"--help", Takes::nothing, "", "this"},
};

constexpr std::size_t kRows = 20;

Result<CommandResult> advice_of(const Arguments& arguments, const Style& style) {
  if (arguments.positionals().empty()) return fail(ErrorCode::usage, "trace advise: of which recording? give its file");
  const bool json = arguments.has("--json");
  const auto limit = STACKTIDE_TRY(arguments.number("--limit")).value_or(json ? 0 : kRows);
  const auto pattern = STACKTIDE_TRY(Pattern::compile(arguments.value("--entry")));
  const auto recording = STACKTIDE_TRY(Recording::open(arguments.positionals()[0]));
  RecordedNames names(recording);
  const bool all = !arguments.has("--entry");
  const auto advice = advise(recording, names, [&](const std::string& entry) { return all || pattern.matches(entry); });
  CommandResult result;
  const AdviceModel model{recording.info(), advice, limit};
  result.out = json ? advice_json(model) : advice_text(model, style);
  warn(result, recording.info().damage);
  if (const auto lost = recording.info().header.lost; lost != 0)
    warn(result, std::vector{fmt::format("{} records were lost while recording: there was more growth than this", lost)});
  warn(result, names.warnings());
  return result;
}

}  // namespace

CommandResult run_advise(const std::vector<std::string>& words, const Style& style) {
  const auto result = [&]() -> Result<CommandResult> {
    const auto arguments = STACKTIDE_TRY(Arguments::parse("trace advise", words, kOptions, 1));
    if (arguments.has("--help")) return CommandResult{advise_help(), "", 0};
    return advice_of(arguments, style);
  }();
  if (!result) return {"", describe(result.error()) + "\n", 2};
  return *result;
}

std::string advise_help() {
  std::string text = R"(stacktide trace advise FILE [OPTIONS]

Per entry function: how much stack its goroutines used, how often they grew, and what another first size would save in
copies and time and cost in memory. Then calls that link a segment each time (hot splits), and calls that grow a stack
which was just shrunk (thrash), each with a cure.

A growth to at most the first size does not happen, nor does a shrink below it; all else happens as it did. Memory is an
upper bound: what all goroutines that were alive at one time would have more. A size is recommended when at least half
of the goroutines reach it anyway and it saves 100 growths. The runtime knows one first size for all goroutines,
STACKTIDE_MINSTACK, and none for those of one function. Links are not predicted. How much of a stack was used is known
from where it had no room, moved, or waited.

options:
)";
  for (const auto& option : kOptions) {
    auto name = std::string(option.name);
    if (!option.value.empty()) name += " " + std::string(option.value);
    text += fmt::format("  {:<15}  {}\n", name, option.help);
  }
  return text + R"(
examples:
  stacktide record -o t.stt -- ./server
  stacktide trace advise t.stt --entry '^serve'
)";
}

}  // namespace stacktide
