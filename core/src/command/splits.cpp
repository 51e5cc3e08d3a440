// history --splits: which calls led from one segment to another, and how often.
#include <fmt/format.h>

#include <algorithm>

#include "command/session_access.h"
#include "command/table.h"
#include "view/json.h"
#include "view/views.h"

namespace stacktide {
namespace {

constexpr std::size_t kPromptSplits = 50;

void name_functions(Session& session, HotSplit& split) {
  if (split.pc != 0) {
    // The check stands in the function's own prologue, whatever is inlined there.
    const auto levels = session.symbolize(split.pc, false);
    split.function = levels.back().function;
    split.file = levels.back().file;
    split.line = levels.back().line;
  }
  if (split.caller != 0) {
    const auto levels = session.symbolize(split.caller, false);
    split.caller_function = levels.front().function;
    split.caller_file = levels.front().file;
    split.caller_line = levels.front().line;
  }
}

}  // namespace

Result<CommandResult> run_splits(const CommandContext& context) {
  const auto& arguments = context.arguments;
  const auto limit = STACKTIDE_TRY(arguments.number("--limit"));
  const auto format = arguments.value("--json");
  if (!format.empty() && format != "lines")
    return fail(ErrorCode::usage, fmt::format("history: --json or --json=lines, not '{}'", format));
  if (!arguments.positionals().empty())
    return fail(ErrorCode::usage, "history: splits are not counted by goroutine: --splits takes no id");
  auto& session = context.session;
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  if (!SessionAccess::layout(session).hot_splits) return std::unexpected(feature_off(snapshot, "the list of boundaries"));

  auto& splits = snapshot.hot_splits;
  const bool json = arguments.has("--json");
  SplitsModel model{snapshot, splits.size()};
  if (limit && *limit != 0) {
    model.shown = std::min<std::size_t>(model.shown, *limit);
  } else if (!limit && !json && context.options.terminal && !arguments.has("--all")) {
    model.shown = std::min(model.shown, kPromptSplits);
  }
  CommandResult result;
  auto list = Json::array();
  for (auto& split : std::span(splits).first(model.shown)) {
    name_functions(session, split);
    if (format == "lines") result.out += dump(to_json(split));
    if (json && format != "lines") list.push_back(to_json(split));
  }
  if (json) {
    auto document = json_head(snapshot);
    if (format != "lines") document["splits"] = std::move(list);
    document["counts"] = to_json(snapshot.hot_split_counts);
    document["damage"] = snapshot.damage;
    result.out += dump(document);
  } else {
    result.out = splits_text(model, context.style);
  }
  warn_of_target(result, snapshot);
  return result;
}

}  // namespace stacktide
