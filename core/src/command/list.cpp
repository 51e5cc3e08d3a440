#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "analyze/frames.h"
#include "analyze/select.h"
#include "command/session_access.h"
#include "command/table.h"
#include "view/json.h"
#include "view/views.h"

namespace stacktide {
namespace {

// At a prompt, longer lists are folded and cut.
constexpr std::size_t kPromptRows = 200;

enum class Locating : std::uint8_t { none, shallow, full };

// How much must be known of each goroutine before rows are chosen.
Locating needed_to_select(const Selection& selection, std::string_view group) {
  Locating needed = Locating::none;
  const auto look = [&](std::string_view field) {
    if (field == "entry") needed = Locating::full;
    if (is_located_field(field) && needed == Locating::none) needed = Locating::shallow;
    // Of a goroutine inside a library call, only unwinding finds the sp.
    if ((field == "used" || field == "headroom" || field == "high_water") && needed == Locating::none)
      needed = Locating::shallow;
  };
  for (const auto& condition : selection.conditions) look(condition.field);
  std::string sort = selection.sort.starts_with("-") ? selection.sort.substr(1) : selection.sort;
  std::ranges::replace(sort, '-', '_');
  look(sort);
  look(group);
  return needed;
}

void locate(Session& session, Goroutine& goroutine, Locating how) {
  if (how == Locating::full) session.locate(goroutine);
  if (how == Locating::shallow) SessionAccess::locate_shallow(session, goroutine);
}

Result<Selection> selection_of(const Arguments& arguments) {
  Selection selection;
  for (const auto& text : arguments.values("--with"))
    selection.conditions.push_back(STACKTIDE_TRY(parse_condition(text, false)));
  for (const auto& text : arguments.values("--without"))
    selection.conditions.push_back(STACKTIDE_TRY(parse_condition(text, true)));
  selection.sort = arguments.value("--sort");
  selection.users_only = arguments.has("--users");
  selection.system_only = arguments.has("--system");
  if (selection.users_only && selection.system_only)
    return fail(ErrorCode::usage, "list: --users and --system exclude each other");
  return selection;
}

std::vector<GoroutineGroup> one_row_each(const std::vector<Goroutine*>& rows) {
  std::vector<GoroutineGroup> groups;
  groups.reserve(rows.size());
  for (auto* g : rows) groups.push_back({{g}});
  return groups;
}

// Those that stand in the same place, the user's first.
std::vector<GoroutineGroup> folded(const std::vector<Goroutine*>& rows) {
  using Key = std::tuple<std::string, std::string, std::string, std::string, std::uint32_t, bool>;
  auto groups = group_by<Key>(
      rows, [](const Goroutine& g) { return Key{g.status, g.wait_reason, g.function, g.file, g.line, g.system}; });
  std::ranges::stable_partition(groups, [](const GoroutineGroup& group) { return !group.members.front()->system; });
  return groups;
}

Result<GroupModel> grouped_by(Session& session, const Snapshot& snapshot, const std::vector<Goroutine*>& rows,
                              const std::string& by) {
  GroupModel model{snapshot, {}, {}, by};
  if (by == "status") {
    model.groups = group_by<std::string>(rows, [](const Goroutine& g) { return state_of(g); });
    for (const auto& group : model.groups) model.keys.push_back(state_of(*group.members.front()));
  } else if (by == "entry") {
    model.groups = group_by<std::string>(rows, [](const Goroutine& g) { return g.entry; });
    for (const auto& group : model.groups) model.keys.push_back(group.members.front()->entry);
  } else if (by == "stack") {
    model.groups = group_by<std::vector<Address>>(rows, [&](const Goroutine& g) {
      std::vector<Address> pcs;
      for (const auto& frame : SessionAccess::unwind(session, g).frames) pcs.push_back(frame.pc);
      return pcs;
    });
    for (const auto& group : model.groups) {
      auto& g = *group.members.front();
      SessionAccess::locate_shallow(session, g);
      model.keys.push_back(
          fmt::format("{} [{}]", g.file.empty() ? g.function : fmt::format("{} ({})", g.function, file_line(g.file, g.line)),
                      state_of(g)));
    }
  } else {
    return fail(ErrorCode::usage, fmt::format("list: --group is status, entry or stack, not '{}'", by));
  }
  return model;
}

std::string groups_json(const Snapshot& snapshot, const GroupModel& model) {
  auto json = json_head(snapshot);
  auto& list = json["groups"] = Json::array();
  for (std::size_t i = 0; i < model.groups.size(); ++i) {
    auto ids = Json::array();
    for (const auto* g : model.groups[i].members) ids.push_back(g->id);
    list.push_back({{model.by, model.keys[i]}, {"count", model.groups[i].members.size()}, {"ids", std::move(ids)}});
  }
  json["counts"] = to_json(snapshot.goroutine_counts);
  json["damage"] = snapshot.damage;
  return dump(json);
}

std::string rows_json(Session& session, const Snapshot& snapshot, std::span<Goroutine* const> rows, bool lines) {
  const Json tail = {{"counts", to_json(snapshot.goroutine_counts)}, {"damage", snapshot.damage}};
  if (lines) {
    std::string out;
    for (auto* g : rows) {
      session.locate(*g);
      out += dump(to_json(*g));
    }
    auto last = json_head(snapshot);
    last.update(tail);
    return out + dump(last);
  }
  JsonList list(json_head(snapshot), "goroutines");
  for (auto* g : rows) {
    session.locate(*g);
    list.add(to_json(*g));
  }
  return list.finish(tail);
}

}  // namespace

Result<CommandResult> run_list(const CommandContext& context) {
  const auto& arguments = context.arguments;
  const auto selection = STACKTIDE_TRY(selection_of(arguments));
  const auto limit_option = STACKTIDE_TRY(arguments.number("--limit"));
  const auto group = arguments.value("--group");
  const bool json = arguments.has("--json");
  const auto format = arguments.value("--json");
  if (!format.empty() && format != "lines")
    return fail(ErrorCode::usage, fmt::format("list: --json or --json=lines, not '{}'", format));

  auto& session = context.session;
  auto& snapshot = *STACKTIDE_TRY(session.snapshot());
  if (!SessionAccess::layout(session).goroutines) return std::unexpected(feature_off(snapshot, "the list of goroutines"));
  if (const auto needed = needed_to_select(selection, group); needed != Locating::none) {
    for (auto& g : snapshot.goroutines) locate(session, g, needed);
  }
  auto rows = STACKTIDE_TRY(select(snapshot.goroutines, selection));
  CommandResult result;
  if (!group.empty()) {
    const auto model = STACKTIDE_TRY(grouped_by(session, snapshot, rows, group));
    result.out = json ? groups_json(snapshot, model) : group_text(model, context.style);
    warn_of_target(result, snapshot);
    return result;
  }

  const bool all = arguments.has("--all") || limit_option == std::uint64_t{0};
  std::size_t limit = rows.size();
  if (limit_option && !all) limit = std::min<std::size_t>(limit, *limit_option);
  if (json) {
    result.out = rows_json(session, snapshot, std::span(rows).first(limit), format == "lines");
  } else {
    ListModel model{snapshot, {}, limit, rows.size(), false, current_goroutine(context)};
    if (context.options.terminal && !all && !limit_option && rows.size() > kPromptRows) {
      for (auto* g : rows) SessionAccess::locate_shallow(session, *g);
      model.groups = folded(rows);
      model.folded = model.groups.size() < rows.size();
      model.shown = kPromptRows;
    } else {
      for (auto* g : std::span(rows).first(limit)) SessionAccess::locate_shallow(session, *g);
      model.groups = one_row_each(rows);
    }
    result.out = list_text(model, context.style);
  }
  warn_of_target(result, snapshot);
  std::vector<Error> damage;
  for (const auto* g : rows) damage.insert(damage.end(), g->damage.begin(), g->damage.end());
  warn(result, damage);
  return result;
}

}  // namespace stacktide
