// JSON Lines by hand where numbers are concerned: a tree of values per record would take ten times as long.
#include <fmt/compile.h>
#include <fmt/format.h>

#include <iterator>

#include "view/recording.h"
#include "view/trace_lines.h"

namespace stacktide {
namespace {

constexpr std::size_t kKept = 65'536;  // texts of chains

std::string compact(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

TraceJsonLines::TraceJsonLines(const RecordingInfo& info, TraceNames& names)
    : info_(info), origin_(origin_of(info)), names_(names) {}

void TraceJsonLines::append_head(std::string& out) const {
  out += dump({{"schema", kTraceSchema}, {"recording", recording_json(info_)}});
}

// [{"pc":"0x1010","function":"deep","file":"/src/a.cpp","line":10,"inlined":false}], innermost first.
const std::string& TraceJsonLines::frames(std::uint32_t chain) {
  if (frames_.size() >= kKept) frames_.clear();
  const auto [found, fresh] = frames_.try_emplace(chain);
  if (!fresh) return found->second;
  auto list = Json::array();
  for (const auto pc : names_.chain(chain)) {
    const auto& levels = names_.levels(pc, false);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      const auto& level = levels[i];
      list.push_back({{"pc", hex(pc)},
                      {"function", level.function},
                      {"file", level.file},
                      {"line", level.line},
                      {"inlined", i + 1 < levels.size()}});
    }
  }
  return found->second = compact(list);
}

const std::string& TraceJsonLines::entry(std::uint64_t address) {
  if (entries_.size() >= kKept) entries_.clear();
  const auto [found, fresh] = entries_.try_emplace(address);
  if (fresh) found->second = compact(place_json(names_.entry(address)));
  return found->second;
}

void TraceJsonLines::append(std::string& out, const TraceRecord& record, const TraceContext& context) {
  const auto to = std::back_inserter(out);
  const auto& head = *record.head;
  fmt::format_to(to, FMT_COMPILE("{{\"time\":{},\"kind\":\"{}\",\"goroutine\":{}"), head.time - origin_,
                 kind_name(head.kind), head.goroutine);
  switch (record.kind()) {
    case STACKTIDE_TRACE_GROW:
    case STACKTIDE_TRACE_SHRINK:
    case STACKTIDE_TRACE_LINK:
    case STACKTIDE_TRACE_RELEASE: {
      const auto& stack = record.as<stacktide_trace_stack>();
      fmt::format_to(
          to,
          FMT_COMPILE(",\"old_size\":{},\"new_size\":{},\"used\":{},\"duration\":{},\"adjusted\":{},\"scanned\":{},"
                      "\"hot\":{},\"size\":{},\"frames\":"),
          stack.old_size, stack.new_size, stack.used, stack.duration, stack.adjusted, stack.scanned,
          head.kind == STACKTIDE_TRACE_LINK && (head.flags & STACKTIDE_TRACE_HOT) != 0, context.size);
      out += frames(head.number);
      break;
    }
    case STACKTIDE_TRACE_SPAWN: {
      const auto& spawn = record.as<stacktide_trace_spawn>();
      fmt::format_to(to, FMT_COMPILE(",\"parent\":{},\"main\":{},\"stack_size\":{},\"entry\":"), spawn.parent,
                     (head.flags & STACKTIDE_TRACE_MAIN) != 0, spawn.stack_size);
      out += entry(spawn.entry);
      out += ",\"frames\":";
      out += frames(head.number);
      break;
    }
    case STACKTIDE_TRACE_EXIT:
    case STACKTIDE_TRACE_LIVE: {
      const auto& c = record.as<stacktide_trace_goroutine>();
      fmt::format_to(to,
                     ",\"stack_size\":{},\"high_water\":{},\"bytes_copied\":{},\"grows\":{},\"links\":{},\"shrinks\":{},"
                     "\"hot_splits\":{}",
                     c.stack_size, c.high_water, c.bytes_copied, c.grows, c.links, c.shrinks, c.hot_splits);
      if (head.kind == STACKTIDE_TRACE_EXIT) break;
      fmt::format_to(to, ",\"wait_reason\":{},\"since\":{},\"frames\":{}",
                     c.since <= 0 ? "null" : compact(names_.wait_reason(c.wait_reason)),
                     c.since <= 0 ? "null" : fmt::format("{}", c.since - origin_), frames(head.number));
      break;
    }
    case STACKTIDE_TRACE_PARK: {
      const auto& park = record.as<stacktide_trace_park>();
      fmt::format_to(to, ",\"wait_reason\":{},\"used\":{},\"object\":", compact(names_.wait_reason(park.wait_reason)),
                     park.used);
      out += park.object == 0 ? "null" : fmt::format("\"{:#x}\"", park.object);
      out += ",\"frames\":";
      out += frames(head.number);
      break;
    }
    case STACKTIDE_TRACE_READY:
      fmt::format_to(to, FMT_COMPILE(",\"by\":{}"), record.as<stacktide_trace_ready>().by);
      break;
    case STACKTIDE_TRACE_LABEL:
      fmt::format_to(to, ",\"label\":{}", compact(std::string(record.text())));
      break;
    default:
      break;
  }
  out += "}\n";
}

}  // namespace stacktide
