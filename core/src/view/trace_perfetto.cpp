#include "view/trace_perfetto.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <iterator>

#include "base/printable.h"
#include "symbols/owner.h"
#include "view/recording.h"

namespace stacktide {
namespace {

constexpr std::size_t kKept = 65'536;  // texts of chains

std::string json_text(std::string_view text) {
  return Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Nanoseconds as microseconds with three decimals: doubles would lose them after three months.
void append_micros(std::string& out, std::int64_t nanoseconds) {
  if (nanoseconds < 0) out += '-';
  const auto value = nanoseconds < 0 ? 0 - static_cast<std::uint64_t>(nanoseconds) : static_cast<std::uint64_t>(nanoseconds);
  fmt::format_to(std::back_inserter(out), FMT_COMPILE("{}.{:03}"), value / 1000, value % 1000);
}

}  // namespace

PerfettoTrace::PerfettoTrace(const RecordingInfo& info, TraceNames& names)
    : info_(info), origin_(origin_of(info)), names_(names) {}

void PerfettoTrace::begin(std::string& out) {
  const auto& command = info_.command;
  const auto program = std::string(base_name(std::string_view(command).substr(0, command.find(' '))));
  out += fmt::format("{{\"displayTimeUnit\":\"ns\",\"otherData\":{},\"traceEvents\":[\n",
                     Json({{"schema", kTraceSchema}, {"recording", recording_json(info_)}})
                         .dump(-1, ' ', false, Json::error_handler_t::replace));
  out += fmt::format(R"({{"ph":"M","name":"process_name","pid":{},"tid":0,"ts":0,"args":{{"name":{}}}}})", info_.header.pid,
                     json_text(program.empty() ? "program" : program));
  first_ = false;
}

// Up to its "args", which the caller adds and closes.
void PerfettoTrace::event(std::string& out, char phase, std::string_view name, std::int64_t time, std::uint64_t goroutine) {
  out += first_ ? "" : ",\n";
  first_ = false;
  fmt::format_to(std::back_inserter(out), FMT_COMPILE("{{\"ph\":\"{}\",\"name\":{},\"pid\":{},\"tid\":{},\"ts\":"), phase,
                 name, info_.header.pid, goroutine);
  append_micros(out, phase == 'M' ? 0 : time - origin_);
}

void PerfettoTrace::name_track(std::string& out, std::uint64_t goroutine, std::uint64_t entry, std::string_view label) {
  auto name = fmt::format("goroutine {}", goroutine);
  if (const auto place = names_.entry(entry); !place.function.empty()) name += " " + short_name(place.function);
  if (!label.empty()) name += fmt::format(" \"{}\"", printable(label));
  event(out, 'M', "\"thread_name\"", 0, goroutine);
  out += fmt::format(R"(,"args":{{"name":{}}}}})", json_text(name));
}

void PerfettoTrace::counter(std::string& out, std::int64_t time, std::uint64_t goroutine, std::uint64_t size) {
  // A counter belongs to a process; its name makes it the goroutine's.
  event(out, 'C', fmt::format("\"goroutine {} stack\"", goroutine), time, goroutine);
  fmt::format_to(std::back_inserter(out), FMT_COMPILE(",\"args\":{{\"bytes\":{}}}}}"), size);
}

const std::string& PerfettoTrace::needed_room(std::uint32_t chain) {
  if (needed_.size() >= kKept) needed_.clear();
  const auto [found, fresh] = needed_.try_emplace(chain);
  if (fresh)
    found->second = fmt::format(R"("function":{},"caller":{})", json_text(place_text(names_.needed_room(chain))),
                                json_text(place_text(names_.caller(chain))));
  return found->second;
}

const std::string& PerfettoTrace::at(std::uint32_t chain) {
  if (places_.size() >= kKept) places_.clear();
  const auto [found, fresh] = places_.try_emplace(chain);
  if (fresh) found->second = json_text(place_text(names_.user_place(chain)));
  return found->second;
}

const std::string& PerfettoTrace::reason(std::uint16_t value) {
  const auto [found, fresh] = reasons_.try_emplace(value);
  if (fresh) found->second = json_text(names_.wait_reason(value));
  return found->second;
}

void PerfettoTrace::stack_event(std::string& out, const stacktide_trace_stack& stack, const TraceContext& context) {
  const auto& head = stack.head;
  event(out, 'i', fmt::format("\"{}\"", kind_name(head.kind)), head.time, head.goroutine);
  fmt::format_to(std::back_inserter(out),
                 FMT_COMPILE(",\"s\":\"t\",\"cat\":\"stack\",\"args\":{{\"old_size\":{},\"new_size\":{},\"used\":{},"
                             "\"nanoseconds\":{},\"hot\":{}"),
                 stack.old_size, stack.new_size, stack.used, stack.duration,
                 head.kind == STACKTIDE_TRACE_LINK && (head.flags & STACKTIDE_TRACE_HOT) != 0);
  if (head.kind == STACKTIDE_TRACE_GROW || head.kind == STACKTIDE_TRACE_LINK) {
    out += ',';
    out += needed_room(context.chain);
  }
  out += "}}";
  counter(out, head.time, head.goroutine, context.size);
}

void PerfettoTrace::wait(std::string& out, std::uint64_t goroutine, const Track& track, std::int64_t until,
                         std::string_view more) {
  event(out, 'X', reason(track.reason), track.since, goroutine);
  out += ",\"dur\":";
  append_micros(out, std::max<std::int64_t>(0, until - track.since));
  out += ",\"cat\":\"wait\",\"args\":{\"at\":";
  out += at(track.chain);
  out += more;
  out += "}}";
}

void PerfettoTrace::append(std::string& out, const TraceRecord& record, const TraceContext& context) {
  const auto& head = *record.head;
  const auto [found, fresh] = tracks_.try_emplace(head.goroutine);
  auto& track = found->second;
  if (fresh) name_track(out, head.goroutine, context.entry, "");
  switch (record.kind()) {
    case STACKTIDE_TRACE_GROW:
    case STACKTIDE_TRACE_SHRINK:
    case STACKTIDE_TRACE_LINK:
    case STACKTIDE_TRACE_RELEASE:
      stack_event(out, record.as<stacktide_trace_stack>(), context);
      break;
    case STACKTIDE_TRACE_SPAWN:
      event(out, 'i', "\"created\"", head.time, head.goroutine);
      out += fmt::format(R"(,"s":"t","cat":"goroutine","args":{{"by":{},"at":{}}}}})",
                         record.as<stacktide_trace_spawn>().parent, at(head.number));
      counter(out, head.time, head.goroutine, context.size);
      break;
    case STACKTIDE_TRACE_PARK: {
      const auto& park = record.as<stacktide_trace_park>();
      track = {true, park.wait_reason, head.number, head.time};
      break;
    }
    case STACKTIDE_TRACE_READY:
      if (track.waits)
        wait(out, head.goroutine, track, head.time, fmt::format(",\"ready_by\":{}", record.as<stacktide_trace_ready>().by));
      track.waits = false;
      break;
    case STACKTIDE_TRACE_LABEL:
      name_track(out, head.goroutine, context.entry, record.text());
      break;
    case STACKTIDE_TRACE_EXIT:
      event(out, 'i', "\"ended\"", head.time, head.goroutine);
      out += R"(,"s":"t","cat":"goroutine","args":{}})";
      counter(out, head.time, head.goroutine, 0);
      tracks_.erase(found);
      break;
    default:
      break;
  }
}

void PerfettoTrace::end(std::string& out) {
  for (const auto& [id, track] : tracks_) {
    if (track.waits) wait(out, id, track, info_.last, ",\"ended\":false");
  }
  out += "\n]}\n";
}

}  // namespace stacktide
