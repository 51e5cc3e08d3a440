#include <fmt/format.h>

#include <optional>

#include "command/session_access.h"
#include "command/table.h"
#include "view/json.h"
#include "view/views.h"

namespace stacktide {
namespace {

struct Printed {
  std::string text;
  std::optional<JsonList> json;
  std::vector<std::string> warnings;
};

void warn_of(Printed& printed, const Goroutine& g, const Backtrace& backtrace) {
  for (const auto& error : g.damage) printed.warnings.push_back(describe(error));
  if (!backtrace.complete)
    printed.warnings.push_back(fmt::format("goroutine {}: backtrace stopped: {}", g.id, backtrace.stop_reason));
}

void add_json(Printed& printed, Session& session, Goroutine& g, const Backtrace& backtrace) {
  session.locate(g);
  auto json = to_json(g);
  json.update(to_json(backtrace));
  printed.json->add(json);
}

void add_text(Printed& printed, const BacktraceModel& model, const Style& style) {
  if (!printed.text.empty()) printed.text += "\n";
  printed.text += backtrace_text(model, style);
}

// Goroutines whose code addresses are all equal stand in the same place; only one of them is symbolised.
std::vector<GoroutineGroup> equal_stacks(Session& session, std::vector<Goroutine*>& all) {
  using Key = std::pair<std::string, std::vector<Address>>;
  return group_by<Key>(all, [&](const Goroutine& g) {
    Key key;
    key.first = g.status + "/" + g.wait_reason;
    for (const auto& frame : SessionAccess::unwind(session, g).frames) key.second.push_back(frame.pc);
    return key;
  });
}

}  // namespace

Result<CommandResult> run_backtrace(const CommandContext& context) {
  const auto& arguments = context.arguments;
  const auto limit = STACKTIDE_TRY(arguments.number("--limit")).value_or(0);
  const bool json = arguments.has("--json");
  auto& session = context.session;
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  Printed printed;
  if (json) printed.json.emplace(json_head(snapshot), "goroutines");
  if (arguments.positionals().empty() || arguments.positionals()[0] != "all") {
    auto* g = STACKTIDE_TRY(wanted_goroutine(context, "bt"));
    const auto backtrace = session.backtrace(*g);
    warn_of(printed, *g, backtrace);
    if (json) {
      add_json(printed, session, *g, backtrace);
    } else {
      add_text(printed, {{g}, backtrace, limit}, context.style);
    }
  } else {
    std::vector<Goroutine*> all;
    for (auto& g : snapshot.goroutines) all.push_back(&g);
    std::vector<GoroutineGroup> groups;
    if (json || arguments.has("--no-group")) {
      for (auto* g : all) groups.push_back({{g}});
    } else {
      groups = equal_stacks(session, all);
    }
    for (auto& group : groups) {
      auto* first = group.members.front();
      auto backtrace = session.backtrace(*first);
      warn_of(printed, *first, backtrace);
      if (json) {
        add_json(printed, session, *first, backtrace);
      } else {
        add_text(printed, {group.members, std::move(backtrace), limit}, context.style);
      }
    }
  }
  CommandResult result;
  if (json) {
    result.out = printed.json->finish({{"counts", to_json(snapshot.goroutine_counts)}, {"damage", snapshot.damage}});
  } else {
    result.out = std::move(printed.text);
  }
  warn_of_target(result, snapshot);
  warn(result, printed.warnings);
  return result;
}

}  // namespace stacktide
