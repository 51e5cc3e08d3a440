// The live trace's options, lines and storage; stacktide/core/trace.h has the concept.
#include "stacktide/core/trace.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <limits>
#include <map>
#include <set>

#include "analyze/check.h"
#include "analyze/event_text.h"
#include "analyze/frames.h"
#include "command/arguments.h"
#include "command/live_records.h"
#include "command/session_access.h"
#include "stacktide/abi.h"
#include "trace/event_log.h"
#include "trace/filter.h"
#include "trace/ring_reader.h"
#include "view/check.h"
#include "view/trace.h"
#include "walk/walker.h"

namespace stacktide {
namespace {

constexpr std::size_t kPromptEvents = 40;  // rows of `trace show` at a prompt: the picture has to stay on the screen

constexpr std::size_t kLine = 160;  // bytes of a line, about

constexpr std::string_view kUsage =
    "goroutine trace on [--goroutine ID] [--function REGEX] [--size-above N] [--kind grow,shrink,segment] [--stop] [--bt] "
    "[--quiet], "
    "trace off, trace show [--limit N] [--all], or trace check --rules FILE [--top N] [--junit FILE]";

constexpr std::array kOnOptions = {
    OptionInfo{"--goroutine", Takes::value, "ID", ""}, OptionInfo{"--function", Takes::value, "REGEX", ""},
    OptionInfo{"--size-above", Takes::value, "N", ""}, OptionInfo{"--kind", Takes::value, "grow,shrink,segment", ""},
    OptionInfo{"--stop", Takes::nothing, "", ""},      OptionInfo{"--bt", Takes::nothing, "", ""},
    OptionInfo{"--quiet", Takes::nothing, "", ""},
};
constexpr std::array kCheckOptions = {
    OptionInfo{"--rules", Takes::value, "FILE", ""},
    OptionInfo{"--top", Takes::value, "N", ""},
    OptionInfo{"--junit", Takes::value, "FILE", ""},
    OptionInfo{"--json", Takes::nothing, "", ""},
};
constexpr std::array kShowOptions = {
    OptionInfo{"--limit", Takes::value, "N", ""},
    OptionInfo{"--all", Takes::nothing, "", ""},
};

std::unexpected<Error> misuse(std::string_view what) {
  return fail(ErrorCode::usage, fmt::format("{}; usage: {}", what, kUsage));
}

// "65536", "64K", "1M".
std::optional<std::uint64_t> parse_size(std::string_view text) {
  unsigned shift = 0;
  if (text.ends_with('K') || text.ends_with('k')) shift = 10;
  if (text.ends_with('M') || text.ends_with('m')) shift = 20;
  if (text.ends_with('G') || text.ends_with('g')) shift = 30;
  if (shift != 0) text.remove_suffix(1);
  const auto number = parse_number(text);
  if (!number || *number > std::numeric_limits<std::uint64_t>::max() >> shift) return std::nullopt;
  return *number << shift;
}

Result<void> set_kinds(EventFilter& filter, std::string_view text) {
  filter.grow = filter.shrink = filter.segment = false;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(',', at), text.size());
    const auto kind = text.substr(at, end - at);
    at = end + 1;
    if (kind == "grow") {
      filter.grow = true;
    } else if (kind == "shrink") {
      filter.shrink = true;
    } else if (kind == "segment") {
      filter.segment = true;
    } else {
      return misuse(fmt::format("trace on: '{}' is no kind of event", kind));
    }
  }
  return {};
}

}  // namespace

TraceHook pending_hook() { return {STACKTIDE_PENDING_HOOK, false}; }
TraceHook event_hook() { return {STACKTIDE_EVENT_HOOK, true}; }
std::string_view trace_usage() { return kUsage; }

struct Trace::State {
  EventFilter filter;
  bool stop = false;
  bool backtrace = false;
  bool per_event = false;
  bool quiet = false;  // events are counted, not printed
  LiveRecords records;

  RingReader reader;
  EventLog log;
  std::uint64_t filtered = 0;
  std::uint64_t lost = 0;
  std::uint64_t stops = 0;
  std::int64_t began = 0;      // by the target's clock, where that is known
  std::set<std::string> said;  // problems, so that each is said once
  const std::string none;

  // What is known of the place where an event happened; as long as the session is the same, for modules move with it.
  struct Place {
    StackEvent named;        // function, file, line
    std::uint32_t text = 0;  // in the log
    std::string words;       // ", in recurse (grow.cpp:21), called from main (grow.cpp:40)"
  };
  static constexpr std::size_t kPlaces = 65'536;
  std::map<std::pair<Address, Address>, Place> places;  // by pc and the caller's
  std::shared_ptr<const void> places_of;

  const Place& place(Session& session, Address pc, Address caller_pc) {
    if (auto identity = SessionAccess::identity(session); identity != places_of || places.size() >= kPlaces) {
      places.clear();
      places_of = std::move(identity);
    }
    const auto [found, fresh] = places.try_emplace({pc, caller_pc});
    auto& place = found->second;
    if (!fresh) return place;
    // The check stands in the function's own prologue, whatever is inlined there.
    const auto& function = SessionAccess::symbolized(session, pc).back();
    place.named.pc = pc;
    place.named.function = function.function;
    place.named.file = function.file;
    place.named.line = function.line;
    const Frame* caller = nullptr;
    if (caller_pc != 0) {
      const auto& levels = SessionAccess::symbolized(session, caller_pc);
      caller = innermost_user_frame(levels);
      if (caller == nullptr) caller = &levels.front();
    }
    place.text = log.number_of(place_of(function.function, function.file, function.line, pc));
    place.words = stack_event_place(place.named, caller);
    return place;
  }

  // Appends the line of an event that meets the conditions; whether it did.
  bool add(Session& session, const StackEvent& event, Address caller_pc, std::string& text) {
    const auto* where = event.pc != 0 && event.kind != "release" ? &place(session, event.pc, caller_pc) : nullptr;
    if (!filter.matches(event, where == nullptr ? none : where->named.function)) {
      ++filtered;
      return false;
    }
    log.add(event, where == nullptr ? 0 : where->text);
    auto known = event;
    known.caller = caller_pc;
    records.add(known, [&](Address pc) -> const std::vector<Frame>& { return SessionAccess::symbolized(session, pc); });
    if (quiet) return true;
    append_stack_event(text, event);
    if (where != nullptr) text += where->words;
    text += '\n';
    return true;
  }

  void complain(TraceOutput& out, const std::string& problem) {
    constexpr std::size_t kMaxSaid = 1000;
    if (said.size() < kMaxSaid && said.insert(problem).second) out.text += fmt::format("stacktide: trace: {}\n", problem);
  }

  Result<TraceOutput> at_event(Session& session, const Descriptor& descriptor, const TraceStop& stopped) {
    auto event =
        STACKTIDE_TRY(read_event(session.target().memory(), descriptor, SessionAccess::layout(session), stopped.event));
    TraceOutput out;
    if (!add(session, event, event.caller != 0 ? event.caller : stopped.caller, out.text)) return out;
    out.stop = stop;
    if (backtrace) {
      Goroutine goroutine;
      goroutine.id = event.goroutine;
      goroutine.registers = stopped.registers;
      out.text += trace_frames(session.backtrace(goroutine));
    }
    return out;
  }

  TraceOutput at_stop(Session& session, const Descriptor& descriptor) {
    reader.drop_before(session.target().now() ? began : INT64_MIN);
    auto found = reader.read(session.target().memory(), descriptor, SessionAccess::layout(session));
    TraceOutput out;
    out.text.reserve(found.events.size() * kLine);
    for (const auto& event : found.events) add(session, event, event.caller, out.text);
    for (const auto& problem : found.problems) complain(out, problem);
    if (found.lost != 0) {
      lost += found.lost;
      records.lose(found.lost);
      out.text += fmt::format("stacktide: trace: {} were overwritten before they could be read\n",
                              plural(found.lost, "stack event"));
    }
    return out;
  }
};

Trace::Trace(std::unique_ptr<State> state) : state_(std::move(state)) {}
Trace::~Trace() = default;
Trace::Trace(Trace&&) noexcept = default;
Trace& Trace::operator=(Trace&&) noexcept = default;

Result<Trace> Trace::make(const std::vector<std::string>& words) {
  const auto arguments = Arguments::parse("trace on", words, kOnOptions, 0);
  if (!arguments) return misuse(arguments.error().context);
  auto state = std::make_unique<State>();
  // The clock of events, where host and target are on one machine.
  state->began = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
  auto& filter = state->filter;
  if (arguments->has("--goroutine")) {
    const auto text = arguments->value("--goroutine");
    filter.goroutine = parse_number(text);
    if (!filter.goroutine) return misuse(fmt::format("trace on: '{}' is not the id of a goroutine", text));
  }
  if (arguments->has("--function")) {
    auto pattern = Pattern::compile(arguments->value("--function"));
    if (!pattern) return misuse(fmt::format("trace on: {}", pattern.error().context));
    filter.function = std::move(*pattern);
  }
  if (arguments->has("--size-above")) {
    const auto text = arguments->value("--size-above");
    const auto size = parse_size(text);
    if (!size) return misuse(fmt::format("trace on: '{}' is not a size in bytes", text));
    filter.size_above = *size;
  }
  if (arguments->has("--kind")) STACKTIDE_TRY(set_kinds(filter, arguments->value("--kind")));
  state->stop = arguments->has("--stop");
  state->backtrace = arguments->has("--bt");
  state->quiet = arguments->has("--quiet");
  state->per_event = state->stop || state->backtrace;
  return Trace(std::move(state));
}

bool Trace::per_event() const { return state_->per_event; }
bool Trace::wants_registers() const { return state_->backtrace; }
void Trace::use_event_hook() { state_->per_event = true; }

Result<Address> Trace::find_hook(Session& session, const TraceHook& hook) {
  if (!hook.per_event) return session.pending_hook();
  return session.event_hook();
}

void Trace::restart() {
  auto& state = *state_;
  state.reader.restart();
  state.log = {};
  state.records = {};
  state.places.clear();  // they have numbers of the log
  state.filtered = state.lost = state.stops = 0;
}

void Trace::skip(Session& session) {
  // Without a runtime, or before it has started, there is nothing to skip.
  if (const auto descriptor = SessionAccess::event_descriptor(session))
    state_->reader.skip(session.target().memory(), **descriptor, SessionAccess::layout(session));
}

Result<TraceOutput> Trace::collect(Session& session, const TraceStop& stop) {
  if (stop.at_hook) ++state_->stops;
  const auto* descriptor = STACKTIDE_TRY(SessionAccess::event_descriptor(session));
  if (!SessionAccess::layout(session).events)
    return fail(ErrorCode::unsupported_contract, "stack events are off for this runtime");
  if (state_->per_event) {
    // Each event has a stop of its own; at others there is nothing to say.
    return stop.event == 0 ? TraceOutput{} : state_->at_event(session, *descriptor, stop);
  }
  return state_->at_stop(session, *descriptor);
}

CommandResult Trace::check(const std::vector<std::string>& words, const CommandOptions& options, std::uint64_t pid) const {
  const auto complain = [](std::string text) { return CommandResult{"", std::move(text) + "\n", 2}; };
  const auto arguments = Arguments::parse("trace check", words, kCheckOptions, 0);
  if (!arguments) return complain(describe(misuse(arguments.error().context).error()));
  if (!arguments->has("--rules")) return complain(describe(misuse("trace check: which rules? give --rules FILE").error()));
  const auto top = arguments->number("--top");
  if (!top) return complain(describe(misuse(top.error().context).error()));
  const auto joined = [](const std::vector<std::string>& lines) { return fmt::format("{}", fmt::join(lines, "\n")); };
  const auto rules = read_rules(arguments->value("--rules"));
  if (!rules) return complain(joined(rules.error()));
  auto& state = *state_;
  state.records.finish(pid, state.filtered);
  const auto report = stacktide::check(*rules, state.records, nullptr, {*top && **top != 0 ? **top : CheckOptions{}.top});
  if (!report) return complain(joined(report.error()));
  if (const auto file = arguments->value("--junit"); !file.empty()) {
    std::ofstream stream(file, std::ios::binary | std::ios::trunc);
    stream << check_junit(*report);
    stream.close();
    if (!stream) return complain(fmt::format("trace check: cannot write {}", file));
  }
  CommandResult result;
  result.exit_code = report->exit_code();
  result.out = arguments->has("--json") ? check_json(*report) : check_text(*report, Style{options.colour, options.width});
  if (result.exit_code == 3) result.err = "no rule failed, but not all events were seen: a rule may hold for want of them\n";
  if (result.exit_code == 1)
    result.err = fmt::format("{} of {} failed\n", report->failed(), plural(report->results.size(), "rule"));
  return result;
}

CommandResult Trace::show(const std::vector<std::string>& words, const CommandOptions& options, bool on) const {
  const auto usage = [](std::string_view what) { return CommandResult{"", describe(misuse(what).error()) + "\n", 2}; };
  const auto arguments = Arguments::parse("trace show", words, kShowOptions, 0);
  if (!arguments) return usage(arguments.error().context);
  const auto limit = arguments->number("--limit");
  if (!limit) return usage(limit.error().context);
  const auto& state = *state_;
  std::size_t shown = state.log.events().size();
  if (*limit && **limit != 0) {
    shown = std::min<std::size_t>(shown, **limit);
  } else if (!*limit && options.terminal && !arguments->has("--all")) {
    shown = std::min(shown, kPromptEvents);
  }
  const Style style{options.colour, options.width};
  return {trace_text({state.log, shown, state.stops, state.filtered, state.lost, on}, style), "", 0};
}

}  // namespace stacktide
