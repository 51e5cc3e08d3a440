// Sizes over time, drawn with characters that every terminal and log has.
//
// Concept. Time is cut into columns; a column shows the largest size in it, for that is what memory had to hold. Sizes are
// powers of two, so rows and characters are steps of a logarithm. Between two events a stack keeps its size.
//
// A goroutine's size is all its segments'. Each event tells the newest one's, before and after, so events that a filter left
// out do not lead astray; older segments are those that links were seen of.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <vector>

#include "view/trace.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxRows = 10;        // of the chart
constexpr std::size_t kMaxGoroutines = 10;  // rows, when there are several
constexpr std::size_t kWidth = 80;          // where no width is known
constexpr std::size_t kMinColumns = 16;
constexpr std::size_t kMaxColumns = 100;
constexpr std::string_view kRamp = ".:-=+*#@";

// One goroutine's sizes by column.
struct Curve {
  std::vector<std::uint64_t> largest;  // per column, 0 before its first event
  std::uint64_t older = 0;             // segments below the newest
  std::uint64_t now = 0;
  std::uint64_t lowest = UINT64_MAX;
  std::uint64_t highest = 0;
  std::uint64_t events = 0;
  std::size_t drawn = 0;  // columns that are filled in

  void fill(std::size_t until) {
    for (; drawn < until; ++drawn) largest[drawn] = std::max(largest[drawn], now);
  }
  void see(std::size_t column, std::uint64_t size) {
    largest[column] = std::max(largest[column], size);
    lowest = std::min(lowest, size);
    highest = std::max(highest, size);
    now = size;
  }
};

class Timeline {
 public:
  Timeline(const EventLog& log, std::size_t columns) : columns_(columns), rate_(columns) {
    start_ = INT64_MAX;
    end_ = INT64_MIN;
    // Rings are merged by time at each stop, so order is by and large right; ends may be anywhere.
    for (const auto& event : log.events()) start_ = std::min(start_, event.time), end_ = std::max(end_, event.time);
    for (const auto& event : log.events()) add(log, event);
    for (auto& [id, curve] : curves_) curve.fill(columns_);
  }

  std::int64_t span() const { return end_ - start_; }
  const std::map<std::uint64_t, Curve>& curves() const { return curves_; }
  const std::vector<std::uint64_t>& rate() const { return rate_; }

 private:
  std::size_t column_of(std::int64_t time) const {
    const auto part = static_cast<double>(time - start_) / static_cast<double>(std::max<std::int64_t>(1, span()));
    return std::min(columns_ - 1, static_cast<std::size_t>(part * static_cast<double>(columns_)));
  }

  void add(const EventLog& log, const LoggedEvent& event) {
    const auto column = column_of(event.time);
    ++rate_[column];
    auto [at, fresh] = curves_.try_emplace(event.goroutine);
    auto& curve = at->second;
    const auto& kind = log.text(event.kind);
    if (fresh) {
      curve.largest.resize(columns_);
      curve.drawn = column;
      if (kind == "release") curve.older = event.new_size;
      curve.see(column, curve.older + event.old_size);
    }
    curve.fill(column + 1);  // with the size that the column began with
    ++curve.events;
    if (kind == "link") curve.older += event.old_size;
    if (kind == "release") curve.older -= std::min<std::uint64_t>(curve.older, event.new_size);
    curve.see(column, curve.older + event.new_size);
  }

  std::size_t columns_;
  std::int64_t start_ = 0;
  std::int64_t end_ = 0;
  std::vector<std::uint64_t> rate_;
  std::map<std::uint64_t, Curve> curves_;
};

// "256K", "2K", "1000": as short as a label may be.
std::string short_size(std::uint64_t size) {
  for (const auto& [shift, unit] : {std::pair(30, 'G'), std::pair(20, 'M'), std::pair(10, 'K')}) {
    if (size >> shift != 0 && size % (std::uint64_t{1} << shift) == 0) return fmt::format("{}{}", size >> shift, unit);
  }
  return fmt::format("{}", size);
}

unsigned steps(std::uint64_t size) { return static_cast<unsigned>(std::bit_width(size)); }

std::string axis(std::int64_t span, std::size_t indent, std::size_t columns) {
  const auto end = duration(span);
  const auto gap = columns > end.size() + 1 ? columns - end.size() - 1 : 1;
  return fmt::format("{}0{}{}\n", std::string(indent, ' '), std::string(gap, ' '), end);
}

std::string chart(std::uint64_t id, const Curve& curve, std::int64_t span, std::size_t columns) {
  auto out = fmt::format("goroutine {}: {} to {} bytes, now {}\n", id, curve.lowest, curve.highest, curve.now);
  const auto bottom = steps(std::max<std::uint64_t>(1, curve.lowest));
  const auto top = std::max(bottom, steps(curve.highest));
  const unsigned step = (top - bottom) / kMaxRows + 1;
  for (auto level = bottom + (top - bottom) / step * step;; level -= step) {
    auto line = fmt::format("{:>6} |", short_size(std::uint64_t{1} << (level - 1)));
    for (const auto size : curve.largest) line += size != 0 && steps(size) >= level ? '#' : ' ';
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
    if (level == bottom) break;
  }
  return out + axis(span, 8, columns);
}

// A character of the ramp for `value` between `low` and `high`.
char shade(unsigned value, unsigned low, unsigned high) {
  if (high <= low) return kRamp.back();
  return kRamp[(value - low) * (kRamp.size() - 1) / (high - low)];
}

std::string rate_row(const std::vector<std::uint64_t>& rate) {
  const auto most = steps(*std::ranges::max_element(rate));
  std::string row;
  for (const auto count : rate) row += count == 0 ? ' ' : shade(steps(count), 1, most);
  return row;
}

std::string rows(const Timeline& timeline) {
  std::vector<const std::pair<const std::uint64_t, Curve>*> order;
  for (const auto& entry : timeline.curves()) order.push_back(&entry);
  // Those that change most, then those that became largest.
  std::ranges::stable_sort(order, [](const auto* a, const auto* b) {
    return std::pair(a->second.events, a->second.highest) > std::pair(b->second.events, b->second.highest);
  });
  const auto all = order.size();
  order.resize(std::min(all, kMaxGoroutines));
  std::uint64_t low = UINT64_MAX;
  std::uint64_t high = 0;
  std::uint64_t events = 0;
  for (const auto& [id, curve] : timeline.curves()) events += curve.events;
  for (const auto* entry : order) low = std::min(low, entry->second.lowest), high = std::max(high, entry->second.highest);
  Table table;
  for (const auto* header : {"goroutine", "events", "smallest", "largest", "now"}) table.column(header, Align::right);
  table.column(fmt::format("over {}", duration(timeline.span())), Align::left);
  table.row({"all", grouped(events), "", "", "", "|" + rate_row(timeline.rate()) + "|"});
  for (const auto* entry : order) {
    const auto& curve = entry->second;
    std::string row;
    for (const auto size : curve.largest) row += size == 0 ? ' ' : shade(steps(size), steps(low), steps(high));
    table.row({fmt::format("{}", entry->first), grouped(curve.events), fmt::format("{}", curve.lowest),
               fmt::format("{}", curve.highest), fmt::format("{}", curve.now), "|" + row + "|"});
  }
  auto out = table.render({});
  if (all > order.size()) out += fmt::format("{} with fewer events\n", plural(all - order.size(), "more goroutine"));
  return out + fmt::format("sizes from {} {} to {} {}; all: events, few {} to many {}\n", kRamp.front(), short_size(low),
                           kRamp.back(), short_size(high), kRamp.front(), kRamp.back());
}

}  // namespace

std::string trace_picture(const EventLog& log, const Style& style) {
  constexpr std::size_t kBesideChart = 8;
  constexpr std::size_t kBesideRows = 56;
  if (log.events().size() < 2) return "";
  const std::size_t width = style.width == 0 ? kWidth : style.width;
  const bool one = std::ranges::all_of(
      log.events(), [&](const LoggedEvent& event) { return event.goroutine == log.events().front().goroutine; });
  const auto beside = one ? kBesideChart : kBesideRows;
  const auto columns = std::clamp(width > beside ? width - beside : 0, kMinColumns, kMaxColumns);
  const Timeline timeline(log, columns);
  if (timeline.span() <= 0) return "";
  if (one) return chart(timeline.curves().begin()->first, timeline.curves().begin()->second, timeline.span(), columns);
  return rows(timeline);
}

}  // namespace stacktide
