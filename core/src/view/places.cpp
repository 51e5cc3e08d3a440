// whereis: what lies at an address, and for one that a stack has left, where the object went.
#include <fmt/format.h>

#include "analyze/event_text.h"
#include "analyze/frames.h"
#include "view/json.h"
#include "view/views.h"

namespace stacktide {
namespace {

std::string extent(const Place& place) {
  return fmt::format("[{}, {}), {}", hex(place.lo), hex(place.hi), plural(place.hi - place.lo, "byte"));
}

std::string spot_text(const FrameSpot& spot) {
  auto text = fmt::format("frame #{} {}", spot.level, place_of(spot.function, spot.file, spot.line, spot.pc));
  text += spot.variable.empty() ? fmt::format(", CFA{:+}", spot.offset) : fmt::format(", variable `{}`", spot.variable);
  return spot.type.empty() ? text : text + fmt::format(" ({})", spot.type);
}

// "growth, event 3 of ring 0, at 0.001234 s: 2048 -> 4096 bytes, in recurse (file.cpp:12)"
std::string event_text(const Snapshot& snapshot, const StackEvent& event) {
  const auto seconds = static_cast<double>(event.time - time_origin(snapshot)) / 1e9;
  auto text = fmt::format("{}, event {} of ring {}, at {:.6f} s: {} -> {} bytes", departure_name(event), event.number,
                          event.ring, seconds, event.old_size, event.new_size);
  if (event.pc != 0) text += fmt::format(", in {}", place_of(event.function, event.file, event.line, event.pc));
  return text;
}

std::string fate_text(const Place& place) {
  const auto& departure = *place.departure;
  const auto moves = fmt::format("after {}", plural(departure.moves, "move"));
  switch (departure.fate) {
    case Fate::moved:
      return fmt::format("the object is at {}, {}{}", hex(departure.now), moves,
                         place.now ? ": " + spot_text(*place.now) : "");
    case Fate::returned:
      return "the function that had the object has returned";
    case Fate::ended:
      return fmt::format("goroutine {} has ended, and the object with it", departure.event->goroutine);
    case Fate::lost:
      return fmt::format("the object was at {}, {}; where it went is no longer recorded (STACKTIDE_EVENTS)",
                         hex(departure.now), moves);
  }
  return "";
}

std::string symbol_text(const Place& place) {
  std::string text;
  if (!place.symbol.empty()) text = place.offset == 0 ? place.symbol : fmt::format("{}+{}", place.symbol, place.offset);
  if (place.section.empty()) return text.empty() ? place.module : fmt::format("{} in {}", text, place.module);
  return fmt::format("{}{} of {}", text.empty() ? "" : text + " in ", place.section, place.module);
}

std::string headline(const Place& place) {
  switch (place.kind) {
    case PlaceKind::stack:
      return fmt::format("in the stack of goroutine {}: {}", place.goroutine, extent(place));
    case PlaceKind::left_stack:
      return fmt::format("in a stack that goroutine {} left: {}", place.goroutine, extent(place));
    case PlaceKind::freed_stack:
      return fmt::format("in a stack that goroutine {} gave back: {}", place.goroutine, extent(place));
    case PlaceKind::free_arena:
      if (place.lo == 0) return "in the arena for stacks, where no stack is";
      return fmt::format("in the arena for stacks, in a stack that no goroutine has: {}", extent(place));
    case PlaceKind::thread_stack:
      return fmt::format("in the system stack of M {} (thread {}): {}", place.m, place.tid, extent(place));
    case PlaceKind::code:
      return fmt::format("code, {}", symbol_text(place));
    case PlaceKind::data:
      return fmt::format("data, {}", symbol_text(place));
    case PlaceKind::memory:
      return "heap or other memory";
    case PlaceKind::absent:
      return "absent: not mapped, or left out of the core";
  }
  return "";
}

std::string part_text(const Place& place) {
  if (place.sp == 0) return fmt::format("{} below hi; sp is not known", plural(place.hi - place.address, "byte"));
  if (place.used) return fmt::format("used, {} below hi", plural(place.hi - place.address, "byte"));
  return fmt::format("unused, {} below sp", plural(place.sp - place.address, "byte"));
}

Json spot_json(const std::optional<FrameSpot>& spot) {
  if (!spot) return nullptr;
  return {{"level", spot->level}, {"function", spot->function}, {"file", spot->file},         {"line", spot->line},
          {"pc", hex(spot->pc)},  {"offset", spot->offset},     {"variable", spot->variable}, {"type", spot->type}};
}

const char* fate_name(Fate fate) {
  switch (fate) {
    case Fate::moved:
      return "moved";
    case Fate::returned:
      return "returned";
    case Fate::ended:
      return "ended";
    case Fate::lost:
      return "lost";
  }
  return "lost";
}

Json departure_json(const Place& place) {
  if (!place.departure) return nullptr;
  const auto& departure = *place.departure;
  const bool known = departure.now != 0;
  return {{"event", to_json(*departure.event)},
          {"fate", fate_name(departure.fate)},
          {"address", known ? Json(hex(departure.now)) : Json(nullptr)},
          {"moves", departure.moves},
          {"frame", spot_json(place.now)}};
}

}  // namespace

std::string whereis_text(const Snapshot& snapshot, const Place& place, const Style& style, const std::string& object) {
  auto out = fmt::format("{}: {}\n", bold(hex(place.address), style), headline(place));
  Table rows;
  rows.column("", Align::left);
  rows.column("", Align::left);
  if (!object.empty()) rows.row({"  object", object});
  if (place.kind == PlaceKind::stack && place.segment != 0)
    rows.row({"  segment", fmt::format("{}, an older one", place.segment)});
  if (place.kind == PlaceKind::stack || place.kind == PlaceKind::thread_stack) rows.row({"  part", part_text(place)});
  if (place.frame) rows.row({"  where", spot_text(*place.frame)});
  if (place.departure) {
    if (place.kind == PlaceKind::stack)
      rows.row({"  before", fmt::format("in a stack that goroutine {} left", place.departure->event->goroutine)});
    rows.row({"  left by", event_text(snapshot, *place.departure->event)});
    rows.row({"  now", fate_text(place)});
  }
  if (!place.file.empty()) rows.row({"  where", file_line(place.file, place.line)});
  return out + rows.render(style);
}

Json to_json(const Place& place) {
  const bool stack = place.hi != 0;
  return {{"address", hex(place.address)},
          {"kind", place_kind_name(place.kind)},
          {"goroutine", place.goroutine == 0 ? Json(nullptr) : Json(place.goroutine)},
          {"lo", stack ? Json(hex(place.lo)) : Json(nullptr)},
          {"hi", stack ? Json(hex(place.hi)) : Json(nullptr)},
          {"segment", place.kind == PlaceKind::stack ? Json(place.segment) : Json(nullptr)},
          {"used", place.kind == PlaceKind::stack && place.sp != 0 ? Json(place.used) : Json(nullptr)},
          {"frame", spot_json(place.frame)},
          {"left", departure_json(place)},
          {"m", place.kind == PlaceKind::thread_stack ? Json(place.m) : Json(nullptr)},
          {"module", place.module},
          {"symbol", place.symbol},
          {"offset", place.offset},
          {"section", place.section},
          {"file", place.file},
          {"line", place.line}};
}

}  // namespace stacktide
