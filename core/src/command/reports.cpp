// sched, history and runtime: whole-target reports.
#include <fmt/format.h>

#include <algorithm>

#include "analyze/address_space.h"
#include "command/session_access.h"
#include "command/table.h"
#include "target/proc_fs.h"
#include "target/regions.h"
#include "view/address_space.h"
#include "view/json.h"
#include "view/views.h"

namespace stacktide {
namespace {

constexpr std::size_t kPromptEvents = 200;

Json json_of(const HistoryModel& model, bool lines, std::string& out) {
  const auto& snapshot = model.snapshot;
  auto json = json_head(snapshot);
  auto events = Json::array();
  for (const auto* event : model.events) {
    if (lines) {
      out += dump(to_json(*event));
    } else {
      events.push_back(to_json(*event));
    }
  }
  if (!lines) json["events"] = std::move(events);
  json["counts"] = to_json(snapshot.event_counts);
  json["damage"] = snapshot.damage;
  return json;
}

}  // namespace

Result<CommandResult> run_scheduler(const CommandContext& context) {
  auto& session = context.session;
  // While a live process still stands; a remote one has no mappings, and its own threads' stacks are not known then.
  const auto regions = regions_of(session.target());
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  if (!SessionAccess::layout(session).scheduler_on) return std::unexpected(feature_off(snapshot, "sched"));
  find_thread_stacks(snapshot, regions.value_or(std::vector<Region>{}));
  for (auto& thread : snapshot.threads) {
    thread.cpu = last_cpu(session.target().local_pid(), thread.tid);
    // A core holds none; what a debugger shows there is the program's.
    if (!session.target().core_file().empty()) thread.name.clear();
  }
  CommandResult result;
  if (context.arguments.has("--json")) {
    auto json = json_head(snapshot);
    json["scheduler"] = to_json(snapshot.scheduler);
    auto& ps = json["ps"] = Json::array();
    for (const auto& p : snapshot.ps) ps.push_back(to_json(p));
    auto& ms = json["ms"] = Json::array();
    for (const auto& m : snapshot.ms) ms.push_back(to_json(m));
    auto& threads = json["threads"] = Json::array();
    for (const auto& thread : snapshot.threads) threads.push_back(to_json(thread));
    json["counts"] = {{"ps", to_json(snapshot.p_counts)}, {"ms", to_json(snapshot.m_counts)}};
    json["damage"] = snapshot.damage;
    result.out = dump(json);
  } else {
    result.out = scheduler_text(snapshot, context.style);
  }
  warn_of_target(result, snapshot);
  warn(result, snapshot.scheduler.damage);
  for (const auto& p : snapshot.ps) warn(result, p.damage);
  for (const auto& m : snapshot.ms) warn(result, m.damage);
  return result;
}

Result<CommandResult> run_history(const CommandContext& context) {
  const auto& arguments = context.arguments;
  if (arguments.has("--splits")) return run_splits(context);
  const auto limit = STACKTIDE_TRY(arguments.number("--limit"));
  const auto format = arguments.value("--json");
  if (!format.empty() && format != "lines")
    return fail(ErrorCode::usage, fmt::format("history: --json or --json=lines, not '{}'", format));
  std::optional<std::uint64_t> id;
  if (!arguments.positionals().empty()) {
    id = parse_number(arguments.positionals()[0]);
    if (!id)
      return fail(ErrorCode::usage, fmt::format("history: '{}' is not the id of a goroutine", arguments.positionals()[0]));
  }
  auto& session = context.session;
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  if (!SessionAccess::layout(session).events) return std::unexpected(feature_off(snapshot, "history"));
  HistoryModel model{snapshot, {}, id, 0};
  for (const auto& event : snapshot.events) {
    if (!id || event.goroutine == *id) model.events.push_back(&event);
  }
  // A goroutine that has ended may still be in the history; one that was never heard of is a mistake.
  if (id && model.events.empty()) STACKTIDE_TRY(session.goroutine(*id));

  const bool json = arguments.has("--json");
  std::size_t shown = model.events.size();
  if (limit && *limit != 0) {
    shown = std::min<std::size_t>(shown, *limit);
  } else if (!limit && !json && context.options.terminal && !arguments.has("--all")) {
    shown = std::min(shown, kPromptEvents);
  }
  model.hidden = model.events.size() - shown;
  model.events.erase(model.events.begin(), model.events.begin() + static_cast<std::ptrdiff_t>(model.hidden));
  for (auto& event : snapshot.events) {
    if (!id || event.goroutine == *id) name_function(session, event);
  }
  CommandResult result;
  if (json) {
    const auto document = json_of(model, format == "lines", result.out);
    result.out += dump(document);
  } else {
    result.out = history_text(model, context.style);
  }
  warn_of_target(result, snapshot);
  return result;
}

// Of a live process the mappings are read while it stands still.
Result<CommandResult> run_layout(const CommandContext& context) {
  auto& session = context.session;
  const auto regions = STACKTIDE_TRY(regions_of(session.target()));
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  find_thread_stacks(snapshot, regions);
  std::vector<NamedAddress> roots;
  for (const auto& root : SessionAccess::descriptor(session).roots) {
    if (root.address != 0) roots.push_back({root.address, root.name});
  }
  const auto space = address_space(snapshot, regions, session.target().modules(), roots);
  CommandResult result;
  if (context.arguments.has("--json")) {
    auto json = json_head(snapshot);
    json["layout"] = to_json(space);
    json["damage"] = snapshot.damage;
    result.out = dump(json);
  } else {
    result.out = address_space_text(snapshot, space, context.style);
  }
  warn_of_target(result, snapshot);
  return result;
}

Result<CommandResult> run_runtime(const CommandContext& context) {
  if (context.arguments.has("--layout")) return run_layout(context);
  auto& snapshot = *STACKTIDE_TRY(context.session.snapshot());
  CommandResult result;
  if (context.arguments.has("--json")) {
    auto json = json_head(snapshot);
    json["runtime"] = to_json(snapshot.runtime);
    json["policy"] = snapshot.scheduler.policy;
    json["stack_maps"] = snapshot.stack_maps ? to_json(*snapshot.stack_maps) : Json(nullptr);
    json["counts"] = {{"goroutines", to_json(snapshot.goroutine_counts)},
                      {"ps", to_json(snapshot.p_counts)},
                      {"ms", to_json(snapshot.m_counts)},
                      {"events", to_json(snapshot.event_counts)}};
    json["damage"] = snapshot.damage;
    result.out = dump(json);
  } else {
    result.out = runtime_text(snapshot, context.style);
  }
  if (!snapshot.damage.empty()) result.exit_code = 3;
  return result;
}

}  // namespace stacktide
