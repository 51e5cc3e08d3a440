#include <fmt/format.h>

#include "command/objects.h"
#include "command/table.h"
#include "view/json.h"
#include "view/views.h"

namespace stacktide {
namespace {

// The lowest word of a stack, which nothing that keeps to the checks ever writes.
std::optional<bool> canary_intact(Session& session, const Snapshot& snapshot, const Goroutine& g) {
  const auto found = snapshot.runtime.constants.find("canary");
  if (found == snapshot.runtime.constants.end() || g.stack.segments.empty()) return std::nullopt;
  const auto word = session.target().memory().read_value<std::uint64_t>(g.stack.lo);
  if (!word) return std::nullopt;
  return *word == static_cast<std::uint64_t>(found->second);
}

}  // namespace

Result<CommandResult> run_stack(const CommandContext& context) {
  auto& session = context.session;
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  auto* g = STACKTIDE_TRY(wanted_goroutine(context, "stack"));
  session.locate(*g);
  const auto backtrace = session.backtrace(*g);
  const auto report = report_stack(*g, snapshot);
  const auto canary = canary_intact(session, snapshot, *g);
  CommandResult result;
  if (context.arguments.has("--json")) {
    auto json = json_head(snapshot);
    auto one = to_json(*g);
    one["stack"].update(to_json(report, canary));
    one.update(to_json(backtrace));
    json["goroutines"] = Json::array({std::move(one)});
    json["counts"] = to_json(snapshot.goroutine_counts);
    json["damage"] = snapshot.damage;
    result.out = dump(json);
  } else {
    result.out = stack_text({snapshot, *g, backtrace, report, canary, waits_for(session, *g)}, context.style);
  }
  warn_of_target(result, snapshot);
  warn(result, g->damage);
  std::vector<std::string> more;
  if (!backtrace.complete && !g->stack.segments.empty()) {
    more.push_back(fmt::format("goroutine {}: backtrace stopped: {}", g->id, backtrace.stop_reason));
  }
  if (canary == false)
    more.push_back(
        fmt::format("goroutine {}: the canary at {:#x} is overwritten: its stack overflowed", g->id, g->stack.lo));
  warn(result, more);
  return result;
}

}  // namespace stacktide
