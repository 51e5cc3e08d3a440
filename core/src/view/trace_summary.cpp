// `trace summary`: a head, totals in sentences, and a table for each question.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "view/recording.h"

namespace stacktide {
namespace {

// Columns of growth that say something in a table: a program has either copies or segments, seldom both.
class GrowthColumns {
 public:
  explicit GrowthColumns(const Growth& all) : all_(all) {}

  void headers(Table& table) const {
    const auto add = [&](bool shown, const char* header) {
      if (shown) table.column(header, Align::right);
    };
    add(true, "grows");
    add(all_.shrinks != 0, "shrinks");
    add(all_.thrash != 0, "thrash");
    add(has_links(), "links");
    add(has_links(), "hot");
    add(true, "copied");
    add(true, "took");
    add(true, "longest");
    add(true, "largest");
  }
  void cells(std::vector<std::string>& row, const Growth& growth) const {
    const auto add = [&](bool shown, std::string cell) {
      if (shown) row.push_back(std::move(cell));
    };
    add(true, grouped(growth.grows));
    add(all_.shrinks != 0, grouped(growth.shrinks));
    add(all_.thrash != 0, grouped(growth.thrash));
    add(has_links(), grouped(growth.links));
    add(has_links(), grouped(growth.hot_splits));
    add(true, size_text(growth.bytes_copied));
    add(true, duration(static_cast<std::int64_t>(growth.nanoseconds)));
    add(true, duration(static_cast<std::int64_t>(growth.longest)));
    add(true, size_text(growth.largest));
  }

 private:
  bool has_links() const { return all_.links != 0 || all_.releases != 0; }
  const Growth& all_;
};

// Nobody looked at the stack of a goroutine that neither needed room nor waited, nor ended.
std::string high_water(std::uint64_t bytes) { return bytes == 0 ? "?" : size_text(bytes); }

std::string more(std::size_t all, std::size_t shown) {
  return all > shown ? fmt::format("{} more: --limit 0\n", grouped(all - shown)) : "";
}

std::string head_text(const RecordingInfo& info, const TraceSummary& summary, const Style& style) {
  const auto& all = summary.totals.all();
  Table table;
  table.column("", Align::left);
  table.column("", Align::left);
  add_recording(table, info, style);
  const auto row = [&](std::string_view label, std::string text) { table.row({bold(label, style), std::move(text)}); };
  row("goroutines", fmt::format("{} created, {} ended, {} still there", grouped(summary.totals.spawned()),
                                grouped(summary.totals.exited()), grouped(summary.live)));
  auto growth = fmt::format("{}, {}", plural(all.grows, "grow"), plural(all.shrinks, "shrink"));
  if (all.thrash != 0) growth += fmt::format(" ({} of the grows: thrash)", grouped(all.thrash));
  if (all.links != 0)
    growth += fmt::format(", {} ({}), {}", plural(all.links, "link"), plural(all.hot_splits, "hot split"),
                          plural(all.releases, "release"));
  growth +=
      fmt::format("; {} copied, {}", size_text(all.bytes_copied), duration(static_cast<std::int64_t>(all.nanoseconds)));
  row("growth", std::move(growth));
  if (all.longest != 0)
    row("longest", fmt::format("{}, in goroutine {} at {:.6f}", duration(static_cast<std::int64_t>(all.longest)),
                               all.longest_goroutine, static_cast<double>(all.longest_time - origin_of(info)) / 1e9));
  row("largest", fmt::format("a stack of {}", size_text(all.largest)));
  if (summary.compared == 0) {
    row("counters", "the runtime's own are not in the trace");
  } else if (summary.different.empty()) {
    row("counters", fmt::format("the runtime's own are the same, for {}", plural(summary.compared, "goroutine")));
  }
  for (const auto& line : summary.different) row("counters", line);
  return table.render({});
}

std::string entries_text(const TraceSummary& summary, std::size_t limit, const Style& style) {
  const GrowthColumns growth(summary.totals.all());
  Table table;
  for (const auto* header : {"goroutines", "live"}) table.column(header, Align::right);
  growth.headers(table);
  table.column("high-water", Align::right);
  table.column("entry function", Align::left);
  const auto shown = std::min(limit, summary.entries.size());
  for (const auto& sum : std::span(summary.entries).first(shown)) {
    std::vector<std::string> row = {grouped(sum.goroutines), grouped(sum.live)};
    growth.cells(row, sum.growth);
    row.push_back(high_water(sum.high_water));
    row.push_back(sum.entry.function.empty() ? "(started before the trace)" : place_text(sum.entry));
    table.row(std::move(row));
  }
  return summary.entries.empty() ? "" : "\n" + table.render(style) + more(summary.entries.size(), shown);
}

std::string functions_text(const TraceSummary& summary, std::size_t limit, const Style& style) {
  const GrowthColumns growth(summary.totals.all());
  Table table;
  growth.headers(table);
  table.column("function that needed room", Align::left);
  table.column("called from", Align::left);
  const auto shown = std::min(limit, summary.functions.size());
  for (const auto& sum : std::span(summary.functions).first(shown)) {
    std::vector<std::string> row;
    growth.cells(row, sum.growth);
    row.push_back(sum.function.function.empty() ? "(not known)" : place_text(sum.function));
    row.push_back(place_text(sum.caller));
    table.row(std::move(row));
  }
  return summary.functions.empty() ? "" : "\n" + table.render(style) + more(summary.functions.size(), shown);
}

std::string goroutines_text(const TraceSummary& summary, TraceNames& names, std::size_t limit, const Style& style) {
  const GrowthColumns growth(summary.totals.all());
  Table table;
  table.column("goroutine", Align::right);
  growth.headers(table);
  table.column("first", Align::right);
  table.column("high-water", Align::right);
  table.column("entry function", Align::left);
  const auto shown = std::min(limit, summary.goroutines.size());
  for (const auto* g : std::span(summary.goroutines).first(shown)) {
    std::vector<std::string> row = {fmt::format("{}", g->id)};
    growth.cells(row, g->growth);
    row.push_back(size_text(g->first_size));
    row.push_back(high_water(g->high_water));
    auto entry = short_name(names.entry(g->entry).function);
    if (!g->label.empty()) entry += fmt::format(" \"{}\"", g->label);
    row.push_back(std::move(entry));
    table.row(std::move(row));
  }
  return summary.goroutines.empty() ? "" : "\n" + table.render(style) + more(summary.goroutines.size(), shown);
}

std::string waits_text(const TraceSummary& summary, const Style& style) {
  Table table;
  for (const auto* header : {"waits", "not ended", "together", "longest"}) table.column(header, Align::right);
  table.column("reason", Align::left);
  for (const auto& sum : summary.waits) {
    table.row({grouped(sum.totals.parks), grouped(sum.waiting), duration(static_cast<std::int64_t>(sum.totals.nanoseconds)),
               duration(static_cast<std::int64_t>(sum.totals.longest)), sum.reason});
  }
  return summary.waits.empty() ? "" : "\n" + table.render(style);
}

Json goroutine_json(const GoroutineTotals& g, TraceNames& names, const RecordingInfo& info) {
  const auto time = [&](const std::optional<std::int64_t>& value) {
    return value ? Json(*value - origin_of(info)) : Json(nullptr);
  };
  return {{"id", g.id},
          {"parent", g.parent},
          {"label", g.label},
          {"entry", place_json(names.entry(g.entry))},
          {"created", place_json(names.user_place(g.created_at))},
          {"spawned", time(g.spawned)},
          {"exited", time(g.exited)},
          {"first_size", g.first_size},
          {"size", g.size},
          {"high_water", g.high_water},
          {"parks", g.parks},
          {"parked_ns", g.parked_ns},
          {"wait_reason", g.waiting ? Json(names.wait_reason(g.wait_reason)) : Json(nullptr)},
          {"growth", growth_json(g.growth, info)}};
}

}  // namespace

std::string summary_text(const RecordingInfo& info, const TraceSummary& summary, TraceNames& names, std::size_t limit,
                         const Style& style) {
  return head_text(info, summary, style) + entries_text(summary, limit, style) + functions_text(summary, limit, style) +
         goroutines_text(summary, names, limit, style) + waits_text(summary, style);
}

Json summary_json(const RecordingInfo& info, const TraceSummary& summary, TraceNames& names, std::size_t limit) {
  Json json = {{"schema", kTraceSchema}, {"recording", recording_json(info)}};
  json["goroutine_counts"] = {
      {"spawned", summary.totals.spawned()}, {"exited", summary.totals.exited()}, {"live", summary.live}};
  json["growth"] = growth_json(summary.totals.all(), info);
  json["counters"] = {{"compared", summary.compared}, {"different", summary.different}};
  auto& entries = json["entries"] = Json::array();
  for (const auto& sum : std::span(summary.entries).first(std::min(limit, summary.entries.size()))) {
    entries.push_back({{"entry", place_json(sum.entry)},
                       {"goroutines", sum.goroutines},
                       {"live", sum.live},
                       {"high_water", sum.high_water},
                       {"growth", growth_json(sum.growth, info)}});
  }
  auto& functions = json["functions"] = Json::array();
  for (const auto& sum : std::span(summary.functions).first(std::min(limit, summary.functions.size()))) {
    functions.push_back({{"function", place_json(sum.function)},
                         {"caller", place_json(sum.caller)},
                         {"growth", growth_json(sum.growth, info)}});
  }
  auto& goroutines = json["goroutines"] = Json::array();
  for (const auto* g : std::span(summary.goroutines).first(std::min(limit, summary.goroutines.size())))
    goroutines.push_back(goroutine_json(*g, names, info));
  auto& waits = json["waits"] = Json::array();
  for (const auto& sum : summary.waits) {
    waits.push_back({{"reason", sum.reason},
                     {"parks", sum.totals.parks},
                     {"ended", sum.totals.ended},
                     {"waiting", sum.waiting},
                     {"nanoseconds", sum.totals.nanoseconds},
                     {"longest", sum.totals.longest}});
  }
  return json;
}

}  // namespace stacktide
