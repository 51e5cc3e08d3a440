#include "view/diff.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "analyze/frames.h"

namespace stacktide {
namespace {

constexpr std::string_view kUnknown = "?";

std::string place_text(const MomentPlace& place) {
  if (place.function.empty()) return std::string(kUnknown);
  if (place.file.empty()) return short_name(place.function);
  return fmt::format("{} ({})", short_name(place.function), file_line(place.file, place.line));
}

std::string created_by(const MomentGroup& group) {
  if (group.creators.empty()) return "";
  const auto& first = group.creators.front().place;
  auto text = first.function.empty() ? std::string() : place_text(first);
  if (group.creators.size() > 1) text += fmt::format(" and {}", plural(group.creators.size() - 1, "other place"));
  return text;
}

std::string describe(const MomentGroup& group) {
  auto text = group.place.function.empty() ? std::string() : place_text(group.place);
  if (!group.state.empty()) text += fmt::format("{}[{}]", text.empty() ? "" : " ", group.state);
  if (!group.entry.empty() && group.entry != group.place.function)
    text += fmt::format("{}entry {}", text.empty() ? "" : ", ", short_name(group.entry));
  if (const auto creator = created_by(group); !creator.empty()) text += ", created by " + creator;
  return text.empty() ? std::string(kUnknown) : text;
}

std::int64_t difference(std::uint64_t before, std::uint64_t after) { return static_cast<std::int64_t>(after - before); }

std::string change_of(std::uint64_t before, std::uint64_t after) { return signed_text(difference(before, after)); }

bool has_places(Grouping grouping) { return grouping == Grouping::stack || grouping == Grouping::place; }

std::string group_table(const DiffModel& model, std::span<const GroupChange> rows, const Style& style) {
  const bool trace = model.after.kind == MomentKind::trace;
  const bool places = has_places(model.diff.grouping);
  const bool depths = model.diff.grouping == Grouping::stack;
  Table table;
  table.column("", Align::left);
  for (const auto* header : {trace ? "live" : "change", "old", "new"}) table.column(header, Align::right);
  if (trace) {
    for (const auto* header : {"spawned", "exited", "grows", "copied", "largest"}) table.column(header, Align::right);
  } else {
    table.column("bytes", Align::right);
  }
  if (places) {
    table.column("state", Align::left);
    table.column("function", Align::left);
    table.column("file:line", Align::left);
  }
  if (depths) table.column("frames", Align::right);
  table.column("entry", Align::left);
  if (trace) table.column("file:line", Align::left);
  table.column("created by", Align::left);
  for (const auto& change : rows) {
    const auto& group = change.shown();
    std::vector<std::string> cells = {change.what(), signed_text(change.change()), grouped(change.old_count()),
                                      grouped(change.new_count())};
    if (trace) {
      const auto a = change.old_trace();
      const auto b = change.new_trace();
      for (const auto& cell : {change_of(a.spawned, b.spawned), change_of(a.exited, b.exited), change_of(a.grows, b.grows),
                               change_of(a.bytes_copied, b.bytes_copied), change_of(a.largest, b.largest)})
        cells.push_back(cell);
    } else {
      cells.push_back(signed_text(change.stack_change()));
    }
    if (places) {
      cells.push_back(group.state);
      cells.push_back(group.place.function.empty() ? std::string(kUnknown) : short_name(group.place.function));
      cells.push_back(file_line(group.place.file, group.place.line));
    }
    if (depths) cells.push_back(grouped(group.frames.size()));
    cells.push_back(group.entry.empty() ? std::string(kUnknown) : short_name(group.entry));
    if (trace) cells.push_back(file_line(group.place.file, group.place.line));
    cells.push_back(created_by(group));
    table.row(std::move(cells));
  }
  return table.render(style);
}

std::string growth_table(std::span<const StackGrowth> rows, bool places, const Style& style) {
  Table table;
  for (const auto* header : {"goroutine", "bytes", "old", "new"}) table.column(header, Align::right);
  if (places) {
    for (const auto* header : {"state", "function", "file:line"}) table.column(header, Align::left);
  }
  table.column("entry", Align::left);
  for (const auto& growth : rows) {
    const auto& group = *growth.group;
    std::vector<std::string> cells = {fmt::format("{}", growth.id), change_of(growth.old_size, growth.new_size),
                                      grouped(growth.old_size), grouped(growth.new_size)};
    if (places) {
      cells.push_back(group.state);
      cells.push_back(group.place.function.empty() ? std::string(kUnknown) : short_name(group.place.function));
      cells.push_back(file_line(group.place.file, group.place.line));
    }
    cells.push_back(short_name(group.entry));
    table.row(std::move(cells));
  }
  return table.render(style);
}

std::string frame_lines(std::span<const GroupChange> rows) {
  std::string text;
  for (const auto& change : rows) {
    const auto& group = change.shown();
    text += fmt::format("\n{} {}: {}\n", signed_text(change.change()), change.what(), describe(group));
    // A recursion is one line.
    for (std::size_t level = 0; level < group.frames.size();) {
      std::size_t last = level;
      while (last + 1 < group.frames.size() && group.frames[last + 1] == group.frames[level]) ++last;
      text += last == level ? fmt::format("  #{} {}\n", level, place_text(group.frames[level]))
                            : fmt::format("  #{}-{} {}\n", level, last, place_text(group.frames[level]));
      level = last + 1;
    }
  }
  return text;
}

std::string group_counts(const MomentDiff& diff) {
  std::vector<std::string> parts;
  for (const std::string_view what : {"appeared", "vanished", "grew", "shrank", "changed"}) {
    const auto count = std::ranges::count_if(diff.changes, [&](const GroupChange& c) { return what == c.what(); });
    parts.push_back(fmt::format("{} {}", grouped(static_cast<std::uint64_t>(count)), what));
  }
  return fmt::format("{}, {} unchanged", fmt::join(parts, ", "), grouped(diff.unchanged));
}

std::string grouping_text(Grouping grouping) {
  switch (grouping) {
    case Grouping::stack:
      return "stack";
    case Grouping::place:
      return "function, line, entry and state";
    case Grouping::entry:
      return "entry";
    case Grouping::creation:
      return "entry and place of creation";
  }
  return "";
}

}  // namespace

std::string signed_text(std::int64_t value) {
  if (value == 0) return "0";
  // Of the smallest number, the negative has no positive counterpart.
  const auto size = value < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  return fmt::format("{}{}", value < 0 ? '-' : '+', grouped(size));
}

std::string finding_text(const DiffFinding& finding) {
  const auto value = static_cast<std::uint64_t>(finding.value);
  const auto limit = fmt::format("limit {} (--{})", grouped(finding.allowed), finding.limit);
  const auto group = finding.group == nullptr ? std::string(kUnknown) : describe(*finding.group);
  if (finding.limit == "max-group-growth")
    return fmt::format("{} more than before, {}, in {}", plural(value, "goroutine"), limit, group);
  const auto what = finding.limit == "max-new" ? plural(value, "goroutine") : "stacks: " + plural(value, "byte");
  return fmt::format("{} more than before, {}; most of all in {}: {}", what, limit, group,
                     signed_text(finding.group_change));
}

std::string diff_text(const DiffModel& model, const Style& style) {
  const auto& diff = model.diff;
  const auto first = [&](const auto& rows) {
    return std::span(rows).first(model.limit == 0 ? rows.size() : std::min(model.limit, rows.size()));
  };
  const auto more = [](std::size_t count, std::size_t shown, std::string_view noun) {
    return count == shown ? std::string() : fmt::format("{} more: --limit 0\n", plural(count - shown, noun));
  };
  std::string out;
  if (const auto rows = first(diff.changes); !rows.empty()) {
    out += group_table(model, rows, style);
    out += more(diff.changes.size(), rows.size(), "group");
    if (model.frames) out += frame_lines(rows) + "\n";
  }
  if (const auto rows = first(diff.grown); !rows.empty()) {
    if (!out.empty() && !out.ends_with("\n\n")) out += "\n";
    out += growth_table(rows, has_places(diff.grouping), style) + more(diff.grown.size(), rows.size(), "goroutine");
  }
  if (!out.empty() && !out.ends_with("\n\n")) out += "\n";
  for (const auto& finding : diff.findings) out += fmt::format("finding: {}\n", finding_text(finding));
  for (const auto& note : model.notes) out += fmt::format("note: {}\n", note);
  out += fmt::format("{}goroutines {} -> {} ({}), stacks {} -> {} bytes ({})\n",
                     model.after.kind == MomentKind::trace ? "at the end: " : "", grouped(model.before.count()),
                     grouped(model.after.count()), change_of(model.before.count(), model.after.count()),
                     grouped(model.before.stack_bytes), grouped(model.after.stack_bytes),
                     change_of(model.before.stack_bytes, model.after.stack_bytes));
  out += fmt::format("groups by {}: {}", grouping_text(diff.grouping), group_counts(diff));
  if (diff.same_process) out += fmt::format("; {} with a larger stack", plural(diff.grown.size(), "goroutine"));
  return out + "\n";
}

}  // namespace stacktide
