// history: stack events from the target's rings, oldest first, and their totals; the boundaries that were crossed most
// often.
#include <fmt/format.h>

#include <algorithm>

#include "analyze/event_text.h"
#include "view/views.h"

namespace stacktide {
namespace {

std::string totals(const HistoryModel& model) {
  const auto count = [&](std::string_view kind) {
    return static_cast<std::uint64_t>(std::ranges::count_if(model.snapshot.events, [&](const StackEvent& event) {
      return event.kind == kind && (!model.goroutine || event.goroutine == *model.goroutine);
    }));
  };
  return fmt::format("{}, {}, {}, {}; {} lost\n", plural(count("grow"), "grow"), plural(count("shrink"), "shrink"),
                     plural(count("link"), "link"), plural(count("release"), "release"),
                     grouped(model.snapshot.event_counts.skipped));
}

}  // namespace

std::int64_t time_origin(const Snapshot& snapshot) {
  const auto found = snapshot.scheduler.values.find("start");
  if (found != snapshot.scheduler.values.end() && found->second != 0) return static_cast<std::int64_t>(found->second);
  return snapshot.events.empty() ? 0 : snapshot.events.front().time;
}

std::string history_text(const HistoryModel& model, const Style& style) {
  std::string out;
  if (model.hidden != 0) out += fmt::format("{} more before these: --all\n", grouped(model.hidden));
  Table table;
  table.column("time", Align::right);
  table.column("goroutine", Align::right);
  table.column("kind", Align::left);
  // Where maps speak of every word the column would say nothing.
  const bool scanned = std::ranges::any_of(model.events, [](const StackEvent* event) { return event->scanned != 0; });
  for (const auto* header : {"old", "new", "used", "adjusted"}) table.column(header, Align::right);
  if (scanned) table.column("scanned", Align::right);
  table.column("took", Align::right);
  table.column("function", Align::left);
  table.shrink(scanned ? 9 : 8);
  const auto start = time_origin(model.snapshot);
  for (const auto* event : model.events) {
    std::vector<std::string> cells = {fmt::format("{:.6f}", static_cast<double>(event->time - start) / 1e9),
                                      fmt::format("{}", event->goroutine), event->kind};
    for (const auto number : {event->old_size, event->new_size, event->used, event->adjusted})
      cells.push_back(fmt::format("{}", number));
    if (scanned) cells.push_back(fmt::format("{}", event->scanned));
    cells.push_back(duration(static_cast<std::int64_t>(event->duration)));
    cells.push_back(event->pc == 0 ? "" : place_of(event->function, event->file, event->line, event->pc));
    table.row(std::move(cells));
  }
  if (!model.events.empty()) out += table.render(style);
  return out + totals(model);
}

std::string splits_text(const SplitsModel& model, const Style& style) {
  const auto& splits = model.snapshot.hot_splits;
  Table table;
  for (const auto* header : {"links", "allocated", "bytes"}) table.column(header, Align::right);
  table.column("function", Align::left);
  table.column("called from", Align::left);
  table.shrink(3);
  for (const auto& split : std::span(splits).first(std::min(model.shown, splits.size()))) {
    table.row({grouped(split.count), grouped(split.allocated), fmt::format("{}", split.bytes),
               split.pc == 0 ? "boundaries without a place in the table"
                             : place_of(short_name(split.function), split.file, split.line, split.pc),
               split.caller == 0
                   ? ""
                   : place_of(short_name(split.caller_function), split.caller_file, split.caller_line, split.caller)});
  }
  auto out = splits.empty() ? "" : table.render(style);
  if (model.shown < splits.size()) out += fmt::format("{} more: --all\n", grouped(splits.size() - model.shown));
  std::uint64_t links = 0;
  std::uint64_t allocated = 0;
  for (const auto& split : splits) links += split.count, allocated += split.allocated;
  return out + fmt::format("{} in {}, {} allocated\n", plural(links, "link"), plural(splits.size(), "place"),
                           plural(allocated, "segment"));
}

}  // namespace stacktide
