// A place in a few words, for tables and findings.
#include <fmt/format.h>

#include "analyze/frames.h"
#include "view/views.h"

namespace stacktide {
namespace {

std::string spot_in_short(const FrameSpot& spot) {
  const auto frame = fmt::format("#{} {}", spot.level, spot.function.empty() ? hex(spot.pc) : short_name(spot.function));
  return spot.variable.empty() ? fmt::format("{} CFA{:+}", frame, spot.offset)
                               : fmt::format("{} in {}", spot.variable, frame);
}

std::string departure_in_short(const Place& place) {
  const auto& departure = *place.departure;
  auto text = fmt::format("a stack that goroutine {} left ({})", place.goroutine, departure_name(*departure.event));
  switch (departure.fate) {
    case Fate::moved:
      return text + fmt::format("; the object is at {:#x} now", departure.now);
    case Fate::returned:
      return text + "; the function that had the object has returned";
    case Fate::ended:
      return text + fmt::format("; goroutine {} has ended", place.goroutine);
    case Fate::lost:
      return text + "; where the object went is no longer recorded";
  }
  return text;
}

std::string symbol_in_short(const Place& place) {
  if (place.symbol.empty()) {
    const auto module = std::string(base_name(place.module));
    return place.section.empty() ? module : fmt::format("{} of {}", place.section, module);
  }
  return place.offset == 0 ? short_name(place.symbol) : fmt::format("{}+{}", short_name(place.symbol), place.offset);
}

}  // namespace

std::string place_in_short(const Place& place, std::uint64_t self) {
  switch (place.kind) {
    case PlaceKind::stack: {
      const auto whose = place.goroutine == self ? "" : fmt::format("goroutine {}: ", place.goroutine);
      if (place.frame) return whose + spot_in_short(*place.frame);
      const auto* part = place.used ? "used part of the stack" : "unused part of the stack";
      return place.goroutine == self ? part : fmt::format("goroutine {}: {}", place.goroutine, part);
    }
    case PlaceKind::left_stack:
      return departure_in_short(place);
    case PlaceKind::freed_stack:
      return fmt::format("a stack that goroutine {} gave back", place.goroutine);
    case PlaceKind::free_arena:
      return "the arena for stacks, in no goroutine's stack";
    case PlaceKind::thread_stack:
      return fmt::format("system stack of M {}", place.m);
    case PlaceKind::code:
      return "code " + symbol_in_short(place);
    case PlaceKind::data:
      return "data " + symbol_in_short(place);
    case PlaceKind::memory:
      return "heap or other memory";
    case PlaceKind::absent:
      return "absent";
  }
  return "absent";
}

}  // namespace stacktide
