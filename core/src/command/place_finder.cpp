#include "command/place_finder.h"

#include <fmt/format.h>

#include <algorithm>

#include "analyze/audit.h"
#include "analyze/segments.h"
#include "analyze/stack_report.h"
#include "command/table.h"
#include "walk/arena.h"

namespace stacktide {
namespace {

constexpr std::size_t kKeptStacks = 64;

}  // namespace

MapStack map_stack(Session& session, const Goroutine& goroutine, const StackMaps* maps) {
  MapStack stack;
  auto walk = SessionAccess::unwind(session, goroutine);
  stack.complete = walk.complete;
  stack.stop_reason = std::move(walk.stop_reason);
  std::vector<Frame> placed;
  std::size_t level = 0;
  for (const auto& unwound : walk.frames) {
    const auto levels = session.symbolize(unwound.pc, unwound.exact_pc);
    MapFrame frame;
    frame.first_level = level;
    level += levels.size();
    frame.level = level - 1;
    frame.registers = unwound.registers;
    placed.push_back(levels.back());
    auto& at = placed.back();
    at.sp = unwound.sp;
    at.cfa = unwound.cfa;
    at.size = unwound.cfa > unwound.sp ? unwound.cfa - unwound.sp : 0;
    if (maps != nullptr && !unwound.exact_pc) {
      auto site = maps->site(unwound.pc);
      if (site) {
        frame.site = std::move(*site);
      } else {
        stack.problems.push_back(fmt::format("goroutine {}: {}", goroutine.id, describe(site.error())));
      }
    }
    stack.frames.push_back(std::move(frame));
  }
  place_in_segments(placed, goroutine.stack);
  for (std::size_t i = 0; i < placed.size(); ++i) stack.frames[i].at = std::move(placed[i]);
  return stack;
}

PlaceFinder::PlaceFinder(Session& session, Snapshot& snapshot) : session_(session), snapshot_(snapshot), stacks_(snapshot) {
  if (const auto maps = SessionAccess::stack_maps(session)) maps_ = &(*maps)->maps;
}

Place PlaceFinder::find(Address address) {
  auto place = classify(address);
  complete(place);
  return place;
}

Place PlaceFinder::classify(Address address) {
  if (auto stack = stack_at(address)) return *stack;
  Place place;
  place.address = address;
  if (in_a_thread_stack(place) || in_a_module(place)) return place;
  place.kind = session_.target().memory().read_value<std::byte>(address) ? PlaceKind::memory : PlaceKind::absent;
  return place;
}

std::optional<Place> PlaceFinder::stack_at(Address address) {
  Place place;
  place.address = address;
  if (in_a_stack(place) || left_behind(place) || in_the_arena(place)) return place;
  return std::nullopt;
}

void PlaceFinder::complete(Place& place) {
  if (place.kind == PlaceKind::stack) {
    if (const auto* goroutine = snapshot_.find(place.goroutine)) place.frame = spot(*goroutine, place.address);
    // A pointer to it may be one that another goroutine left behind.
    if (!place.departure) {
      auto before = departure_of(snapshot_, place.address);
      if (before && before->event->goroutine != place.goroutine) place.departure = before;
    }
  }
  if (place.departure) {
    const auto index = static_cast<std::size_t>(place.departure->event - snapshot_.events.data());
    name_function(session_, snapshot_.events[index]);
    const auto* goroutine = snapshot_.find(place.departure->event->goroutine);
    if (goroutine != nullptr && place.departure->fate == Fate::moved) place.now = spot(*goroutine, place.departure->now);
  }
  if (place.kind == PlaceKind::code) {
    const auto levels = session_.symbolize(place.address, true);
    place.file = levels.front().file;
    place.line = levels.front().line;
  }
}

const char* PlaceFinder::why_it_stays() const {
  return stacks_are_fixed(snapshot_) ? ", and stacks never move here" : ", which is pinned";
}

bool PlaceFinder::stays(const Place& stack) {
  if (stacks_are_fixed(snapshot_)) return true;
  const auto& policy = snapshot_.scheduler.policy;
  if (policy == "segmented") return true;
  const auto* owner = snapshot_.find(stack.goroutine);
  return policy != "contiguous" && owner != nullptr && pinned_segment(frames_of(*owner).frames, stack.segment);
}

const MapStack& PlaceFinder::frames_of(const Goroutine& goroutine) {
  const auto found = frames_.find(goroutine.id);
  if (found != frames_.end()) return found->second;
  if (frames_.size() >= kKeptStacks) frames_.clear();
  return frames_.emplace(goroutine.id, map_stack(session_, goroutine, maps_)).first->second;
}

bool PlaceFinder::in_a_stack(Place& place) {
  const auto spot = stacks_.find(place.address);
  if (!spot) return false;
  const auto& segment = spot->goroutine->stack.segments[spot->segment];
  place.kind = PlaceKind::stack;
  place.goroutine = spot->goroutine->id;
  place.segment = spot->segment;
  place.lo = segment.lo;
  place.hi = segment.hi;
  place.sp = segment.sp;
  place.used = spot->used;
  return true;
}

bool PlaceFinder::left_behind(Place& place) {
  // Most addresses that are asked for lie outside, and there may be millions of events.
  if (!may_be_stack(snapshot_, place.address)) return false;
  place.departure = departure_of(snapshot_, place.address);
  if (!place.departure) return false;
  const auto& event = *place.departure->event;
  place.kind = PlaceKind::left_stack;
  place.goroutine = event.goroutine;
  place.lo = event.old_lo;
  place.hi = event.old_lo + event.old_size;
  return true;
}

bool PlaceFinder::in_the_arena(Place& place) {
  const auto found = arena_place(session_.target().memory(), SessionAccess::descriptor(session_),
                                 SessionAccess::layout(session_), snapshot_, place.address);
  if (!found || !*found) return false;
  const auto& arena = **found;
  place.lo = arena.lo;
  place.hi = arena.hi;
  place.goroutine = arena.freed_by;
  const bool freed = arena.state == ArenaPlace::State::freed || arena.state == ArenaPlace::State::unmapped;
  place.kind = freed && arena.freed_by != 0 ? PlaceKind::freed_stack : PlaceKind::free_arena;
  return true;
}

bool PlaceFinder::in_a_thread_stack(Place& place) {
  const auto& ms = snapshot_.ms;
  const auto found =
      std::ranges::find_if(ms, [&](const Machine& m) { return place.address >= m.stack_lo && place.address < m.stack_hi; });
  if (found == ms.end()) return false;
  place.kind = PlaceKind::thread_stack;
  place.m = found->id;
  place.tid = found->tid;
  place.lo = found->stack_lo;
  place.hi = found->stack_hi;
  place.sp = found->sp;
  place.used = found->sp != 0 && place.address >= found->sp;
  return true;
}

bool PlaceFinder::in_a_module(Place& place) {
  const auto found = SessionAccess::symbolizer(session_).symbol_at(place.address);
  // Between the segments of a module there may be nothing at all.
  if (!found || (found->section.empty() && !session_.target().memory().read_value<std::byte>(place.address))) return false;
  place.kind = found->code ? PlaceKind::code : PlaceKind::data;
  place.module = found->module;
  place.symbol = found->name;
  place.offset = found->symbol.empty() ? 0 : place.address - found->start;
  place.section = found->section;
  return true;
}

std::optional<FrameSpot> PlaceFinder::spot(const Goroutine& goroutine, Address address) {
  const auto where = stacks_.find(address);
  if (!where || where->goroutine->id != goroutine.id) return std::nullopt;
  for (const auto& frame : frames_of(goroutine).frames) {
    if (frame.at.segment != where->segment || !frame.holds(address)) continue;
    FrameSpot spot;
    spot.level = frame.level;
    spot.function = frame.at.function;
    spot.file = frame.at.file;
    spot.line = frame.at.line;
    spot.pc = frame.at.pc;
    spot.offset = static_cast<std::int64_t>(address - frame.at.cfa);
    if (const auto* variable = frame.mapped() ? variable_at(*frame.site, spot.offset) : nullptr) {
      spot.variable = variable_text(*variable, spot.offset);
      spot.type = variable->type;
    }
    return spot;
  }
  return std::nullopt;
}

}  // namespace stacktide
