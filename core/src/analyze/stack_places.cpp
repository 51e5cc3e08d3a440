#include "analyze/stack_places.h"

#include <algorithm>

namespace stacktide {
namespace {

// A link leaves the old segment in use; all others leave it behind.
bool leaves(const StackEvent& event) { return event.kind != "link"; }
bool copies(const StackEvent& event) { return leaves(event) && event.kind != "release"; }

bool left_behind(const StackEvent& event, Address address) {
  return leaves(event) && address >= event.old_lo && address - event.old_lo < event.old_size;
}

// Where a copy takes an address: as far from the end as before.
Address moved(const StackEvent& event, Address address) {
  return address - (event.old_lo + event.old_size) + event.new_lo + event.new_size;
}

// The first copy after `from` that took the goroutine on from where that one had put it.
const StackEvent* next_copy(const Snapshot& snapshot, const StackEvent& from) {
  const auto later = std::ranges::upper_bound(snapshot.events, from.time, {}, &StackEvent::time);
  const auto found = std::find_if(later, snapshot.events.end(), [&](const StackEvent& event) {
    return event.goroutine == from.goroutine && copies(event) && event.old_lo == from.new_lo &&
           event.old_size == from.new_size;
  });
  return found == snapshot.events.end() ? nullptr : &*found;
}

bool has_segment(const Goroutine& goroutine, Address lo, std::uint64_t size) {
  return std::ranges::any_of(goroutine.stack.segments,
                             [&](const Segment& segment) { return segment.lo == lo && segment.size() == size; });
}

}  // namespace

StackIndex::StackIndex(const Snapshot& snapshot) {
  for (const auto& goroutine : snapshot.goroutines) {
    const auto& segments = goroutine.stack.segments;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (segments[i].lo < segments[i].hi) entries_.push_back({segments[i].lo, segments[i].hi, &goroutine, i});
    }
  }
  std::ranges::stable_sort(entries_, {}, &Entry::lo);
}

std::optional<StackSpot> StackIndex::find(Address address) const {
  const auto above = std::ranges::upper_bound(entries_, address, {}, &Entry::lo);
  if (above == entries_.begin()) return std::nullopt;
  const auto& entry = *std::prev(above);
  if (address >= entry.hi) return std::nullopt;
  const auto sp = entry.goroutine->stack.segments[entry.segment].sp;
  return StackSpot{entry.goroutine, entry.segment, sp == 0 || address >= sp};
}

bool may_be_stack(const Snapshot& snapshot, Address address) {
  const auto& values = snapshot.scheduler.values;
  const auto lo = values.find("arena_lo");
  const auto hi = values.find("arena_hi");
  if (lo == values.end() || hi == values.end() || lo->second >= hi->second) return true;
  return address >= lo->second && address < hi->second;
}

std::optional<Departure> departure_of(const Snapshot& snapshot, Address address) {
  const StackEvent* left = nullptr;  // events are sorted by time
  for (const auto& event : snapshot.events) {
    if (left_behind(event, address)) left = &event;
  }
  if (left == nullptr) return std::nullopt;
  Departure departure{left, Fate::returned, 0, 0};
  if (!copies(*left)) return departure;
  const StackEvent* last = left;
  departure.now = moved(*last, address);
  departure.moves = 1;
  // Times only rise along the way, so that it ends.
  while (const auto* next = next_copy(snapshot, *last)) {
    departure.now = moved(*next, departure.now);
    ++departure.moves;
    last = next;
  }
  const auto owner = std::ranges::find(snapshot.goroutines, left->goroutine, &Goroutine::id);
  if (owner == snapshot.goroutines.end() || owner->stack.segments.empty()) {
    departure.fate = Fate::ended;
  } else {
    departure.fate = has_segment(*owner, last->new_lo, last->new_size) ? Fate::moved : Fate::lost;
  }
  return departure;
}

const char* departure_name(const StackEvent& event) {
  if (event.kind == "grow") return "growth";
  if (event.kind == "shrink") return "shrink";
  if (event.kind == "release") return "release of a segment";
  return "move under stress";
}

}  // namespace stacktide
