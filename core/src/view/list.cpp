// list: one row per goroutine, or per group of equal ones.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "analyze/frames.h"
#include "view/views.h"

namespace stacktide {
namespace {

std::string or_unknown(bool known, std::string text) { return known ? std::move(text) : "?"; }

// "1000 waiting, 1 running": most frequent first.
std::string status_counts(const std::vector<GoroutineGroup>& groups) {
  std::map<std::string, std::uint64_t> by_status;
  for (const auto& group : groups) {
    for (const auto* g : group.members) ++by_status[g->status];
  }
  std::vector<std::pair<std::string, std::uint64_t>> sorted(by_status.begin(), by_status.end());
  std::ranges::stable_sort(sorted, std::ranges::greater{}, [](const auto& pair) { return pair.second; });
  std::string text;
  for (const auto& [status, count] : sorted)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", grouped(count), status);
  return text;
}

std::string total_line(const ListModel& model) {
  const auto& counts = model.snapshot.goroutine_counts;
  auto text = model.selected == counts.read
                  ? plural(counts.read, "goroutine")
                  : fmt::format("{} of {}", grouped(model.selected), plural(counts.read, "goroutine"));
  if (const auto statuses = status_counts(model.groups); !statuses.empty()) text += ": " + statuses;
  if (counts.skipped != 0)
    text += fmt::format("; {} of {} could not be read", grouped(counts.skipped), plural(counts.total, "record"));
  return text + "\n";
}

}  // namespace

std::string list_text(const ListModel& model, const Style& style) {
  const auto rows = std::span(model.groups).first(std::min(model.shown, model.groups.size()));
  const bool labels =
      std::ranges::any_of(rows, [](const GoroutineGroup& group) { return !group.members.front()->label.empty(); });
  Table table;
  table.column("", Align::left);
  if (model.folded) table.column("count", Align::right);
  table.column("id", Align::right);
  table.column("status", Align::left);
  table.column("wait-reason", Align::left);
  table.column("function", Align::left);
  table.shrink(model.folded ? 5 : 4);
  table.column("file:line", Align::left);
  for (const auto* header : {"size", "used", "headroom", "grows"}) table.column(header, Align::right);
  if (labels) table.column("label", Align::left);
  for (const auto& group : rows) {
    const auto& g = *group.members.front();
    const auto& stack = g.stack;
    const bool current =
        std::ranges::any_of(group.members, [&](const Goroutine* member) { return member->id == model.current; });
    std::vector<std::string> cells;
    cells.emplace_back(current && model.current != 0 ? "*" : "");
    if (model.folded) cells.push_back(grouped(group.members.size()));
    cells.push_back(fmt::format("{}", g.id));
    cells.push_back(g.status);
    cells.push_back(g.wait_reason);
    cells.push_back(or_unknown(!g.function.empty(), short_name(g.function)));
    cells.push_back(file_line(g.file, g.line));
    cells.push_back(fmt::format("{}", stack.size));
    cells.push_back(or_unknown(stack.sp != 0, fmt::format("{}", stack.used)));
    cells.push_back(stack.sp != 0 && stack.headroom ? fmt::format("{}", *stack.headroom) : "?");
    cells.push_back(g.grows ? fmt::format("{}", *g.grows) : "?");
    if (labels) cells.push_back(g.label);
    table.row(std::move(cells));
    if (current && model.current != 0) table.highlight_last();
  }
  auto out = rows.empty() ? "" : table.render(style);
  if (rows.size() < model.groups.size()) {
    std::size_t more = 0;
    for (const auto& group : std::span(model.groups).subspan(rows.size())) more += group.members.size();
    out += fmt::format("{} more: --all\n", grouped(more));
  }
  return out + total_line(model);
}

std::string group_text(const GroupModel& model, const Style& style) {
  Table table;
  table.column("count", Align::right);
  table.column(model.by, Align::left);
  table.column("ids", Align::left);
  table.shrink(2);
  std::size_t total = 0;
  for (std::size_t i = 0; i < model.groups.size(); ++i) {
    const auto& group = model.groups[i];
    total += group.members.size();
    table.row({grouped(group.members.size()), model.keys[i].empty() ? "?" : model.keys[i], id_ranges(group.members)});
  }
  return (model.groups.empty() ? "" : table.render(style)) +
         fmt::format("{} in {}\n", plural(total, "goroutine"), plural(model.groups.size(), "group"));
}

}  // namespace stacktide
