#include "view/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

namespace stacktide {
namespace {

constexpr std::size_t kMaxFrames = 20;
constexpr std::size_t kMaxFunctions = 10;

// What core's lines say of each kind, which the totals repeat.
std::string_view verb_of(std::string_view kind) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kVerbs = {
      {{"grow", "grew"}, {"link", "linked"}, {"release", "released"}, {"shrink", "shrank"}}};
  const auto found = std::ranges::find(kVerbs, kind, &std::pair<std::string_view, std::string_view>::first);
  return found == kVerbs.end() ? kind : found->second;
}

std::string size_of(const LoggedEvent& event, const std::string& kind) {
  if (kind == "link") return fmt::format("+{}", event.new_size);
  if (kind == "release") return fmt::format("-{}", event.old_size);
  return fmt::format("{} -> {}", event.old_size, event.new_size);
}

std::string table_of(const TraceModel& model, const Style& style) {
  const auto& events = model.log.events();
  const auto shown = std::min(model.shown, events.size());
  if (shown == 0) return "";
  Table table;
  table.column("time", Align::right);
  table.column("goroutine", Align::right);
  table.column("kind", Align::left);
  for (const auto* header : {"size", "used"}) table.column(header, Align::right);
  table.column("function", Align::left);
  table.shrink(5);
  const auto start = events.front().time;
  for (auto at = events.end() - static_cast<std::ptrdiff_t>(shown); at != events.end(); ++at) {
    const auto& kind = model.log.text(at->kind);
    table.row({fmt::format("{:.6f}", static_cast<double>(at->time - start) / 1e9), fmt::format("{}", at->goroutine), kind,
               size_of(*at, kind), kind == "release" ? "" : fmt::format("{}", at->used), model.log.text(at->place)});
  }
  return table.render(style);
}

// The functions that most events happened in: where to look for the frame that is too big.
std::string functions_of(const EventLog& log, const Style& style) {
  struct Sum {
    std::uint64_t events = 0;
    std::uint32_t largest = 0;
  };
  std::map<std::uint32_t, Sum> sums;
  for (const auto& event : log.events()) {
    if (event.place == 0) continue;
    auto& sum = sums[event.place];
    ++sum.events;
    sum.largest = std::max(sum.largest, event.new_size);
  }
  if (sums.size() < 2) return "";
  std::vector<std::pair<std::uint32_t, Sum>> order(sums.begin(), sums.end());
  std::ranges::stable_sort(order, [](const auto& a, const auto& b) { return a.second.events > b.second.events; });
  const auto all = order.size();
  order.resize(std::min(all, kMaxFunctions));
  Table table;
  table.column("events", Align::right);
  table.column("largest", Align::right);
  table.column("function", Align::left);
  table.shrink(2);
  for (const auto& [place, sum] : order) table.row({grouped(sum.events), fmt::format("{}", sum.largest), log.text(place)});
  auto out = table.render(style);
  if (all > order.size()) out += fmt::format("{} with fewer\n", plural(all - order.size(), "more function"));
  return out;
}

std::string totals_of(const TraceModel& model) {
  std::string out = plural(model.log.total(), "stack event");
  const char* before = ": ";
  for (const auto& [kind, count] : model.log.totals()) {
    out += fmt::format("{}{} {}", before, grouped(count), verb_of(kind));
    before = ", ";
  }
  if (model.filtered != 0) out += fmt::format("; {} others filtered out", grouped(model.filtered));
  out += fmt::format("; {} lost; {}; tracing is {}\n", grouped(model.lost), plural(model.stops, "stop"),
                     model.on ? "on" : "off");
  return out;
}

}  // namespace

std::string trace_text(const TraceModel& model, const Style& style) {
  std::string out;
  const auto kept = model.log.events().size();
  if (model.log.total() > kept)
    out += fmt::format("(the first {} are counted below but not kept)\n", grouped(model.log.total() - kept));
  if (model.shown < kept) out += fmt::format("{} more before these: --all\n", grouped(kept - model.shown));
  out += table_of(model, style);
  if (auto functions = functions_of(model.log, style); !functions.empty()) out += "\n" + functions;
  if (auto picture = trace_picture(model.log, style); !picture.empty()) out += "\n" + picture + "\n";
  return out + totals_of(model);
}

std::string trace_frames(const Backtrace& backtrace) {
  const auto& frames = backtrace.frames;
  auto at = std::ranges::find_if(frames, [](const Frame& frame) { return !frame.runtime; });
  std::string out;
  for (std::size_t level = 0; at != frames.end(); ++at, ++level) {
    if (level == kMaxFrames)
      return out + fmt::format("    ({} outside these)\n", plural(static_cast<std::uint64_t>(frames.end() - at), "frame"));
    out += fmt::format("    #{} {}", level, at->function.empty() ? hex(at->pc) : at->function);
    if (!at->args.empty()) out += fmt::format(" ({})", at->args);
    if (!at->file.empty()) out += fmt::format(" at {}", file_line(at->file, at->line));
    out += '\n';
  }
  return out;
}

}  // namespace stacktide
