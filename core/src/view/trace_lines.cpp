#include "view/trace_lines.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <iterator>

#include "analyze/event_text.h"
#include "base/printable.h"
#include "view/recording.h"

namespace stacktide {
namespace {

// Made once for each chain, but a file may have more chains than is worth keeping.
constexpr std::size_t kKept = 65'536;

template <class Texts>
void bound(Texts& texts) {
  if (texts.size() >= kKept) texts.clear();
}

std::string in(const TracePlace& place) {
  const auto text = place_text(place);
  return text.empty() ? "" : fmt::format(", in {}", text);
}

}  // namespace

TraceLines::TraceLines(const RecordingInfo& info, TraceNames& names) : origin_(origin_of(info)), names_(names) {}

const std::string& TraceLines::needed_room(std::uint32_t chain) {
  bound(needed_);
  const auto [found, fresh] = needed_.try_emplace(chain);
  if (fresh) {
    found->second = in(names_.needed_room(chain));
    if (const auto caller = place_text(names_.caller(chain)); !caller.empty())
      found->second += fmt::format(", called from {}", caller);
  }
  return found->second;
}

const std::string& TraceLines::at(std::uint32_t chain) {
  bound(places_);
  const auto [found, fresh] = places_.try_emplace(chain);
  if (fresh) found->second = in(names_.user_place(chain));
  return found->second;
}

void TraceLines::append(std::string& out, const TraceRecord& record, const TraceContext& context) {
  const auto to = std::back_inserter(out);
  const auto& head = *record.head;
  fmt::format_to(to, FMT_COMPILE("{:>12.6f}  "), static_cast<double>(head.time - origin_) / 1e9);
  const auto goroutine = [&] { fmt::format_to(to, FMT_COMPILE("goroutine {} "), head.goroutine); };
  switch (record.kind()) {
    case STACKTIDE_TRACE_GROW:
    case STACKTIDE_TRACE_SHRINK:
    case STACKTIDE_TRACE_LINK:
    case STACKTIDE_TRACE_RELEASE: {
      const auto& stack = record.as<stacktide_trace_stack>();
      event_.kind = kind_name(head.kind);
      event_.goroutine = head.goroutine;
      event_.old_size = stack.old_size;
      event_.new_size = stack.new_size;
      event_.used = stack.used;
      append_stack_event(out, event_);
      if ((head.flags & STACKTIDE_TRACE_HOT) != 0 && head.kind == STACKTIDE_TRACE_LINK) out += ", a hot split";
      if (head.kind == STACKTIDE_TRACE_GROW || head.kind == STACKTIDE_TRACE_LINK) out += needed_room(context.chain);
      if (stack.duration != 0) fmt::format_to(to, ", took {}", duration(stack.duration));
      break;
    }
    case STACKTIDE_TRACE_SPAWN: {
      const auto& spawn = record.as<stacktide_trace_spawn>();
      goroutine();
      out += spawn.parent == 0 ? "begins" : fmt::format("is created by goroutine {}", spawn.parent);
      out += at(head.number);
      if (const auto entry = names_.entry(spawn.entry); !entry.function.empty())
        out += fmt::format(", entry {}", short_name(entry.function));
      break;
    }
    case STACKTIDE_TRACE_EXIT: {
      const auto& counters = record.as<stacktide_trace_goroutine>();
      goroutine();
      fmt::format_to(to, "ends, with {} bytes of stack, used at most {}", counters.stack_size, counters.high_water);
      break;
    }
    case STACKTIDE_TRACE_LIVE: {
      const auto& counters = record.as<stacktide_trace_goroutine>();
      goroutine();
      out += "is there at the end";
      if (counters.since > 0)
        fmt::format_to(to, ", waits since {:.6f}: {}", static_cast<double>(counters.since - origin_) / 1e9,
                       names_.wait_reason(counters.wait_reason));
      out += at(head.number);
      break;
    }
    case STACKTIDE_TRACE_PARK:
      goroutine();
      out += "waits: ";
      out += names_.wait_reason(record.as<stacktide_trace_park>().wait_reason);
      out += at(head.number);
      break;
    case STACKTIDE_TRACE_READY: {
      const auto by = record.as<stacktide_trace_ready>().by;
      goroutine();
      out += "is ready";
      if (by != 0) fmt::format_to(to, FMT_COMPILE(", by goroutine {}"), by);
      break;
    }
    case STACKTIDE_TRACE_LABEL:
      goroutine();
      fmt::format_to(to, "is now \"{}\"", printable(record.text()));
      break;
    default:
      break;
  }
  out += '\n';
}

}  // namespace stacktide
