#include "stack_history.h"

#include "events.h"
#include "report.h"
#include "scheduler.h"
#include "stack.h"

namespace stacktide::runtime {
namespace {

struct Extent {
  std::uint64_t lo;
  std::uint64_t size;
  bool contains(std::uint64_t address) const { return address - lo < size; }
  bool operator==(const Extent&) const = default;
};

struct Found {
  Event event{};
  std::uint64_t number = 0;
  bool any = false;
};

Extent old_extent(const Event& event) { return {event.old_lo, event.old_size}; }
Extent new_extent(const Event& event) { return {event.new_lo, event.new_size}; }

// A link leaves the old segment in use; all others leave it behind.
bool leaves(const Event& event) { return event.kind != event_kind_link; }
bool copies(const Event& event) { return leaves(event) && event.kind != event_kind_release; }

// Where a copy takes an address: as far from the end as before.
std::uint64_t moved(const Event& event, std::uint64_t address) {
  return address - (event.old_lo + event.old_size) + event.new_lo + event.new_size;
}

const char* kind_text(std::uint16_t kind) {
  switch (kind) {
    case event_kind_grow:
      return "growth";
    case event_kind_shrink:
      return "shrink";
    case event_kind_release:
      return "release of a segment";
    default:
      return "move under stress";
  }
}

// The last event that left a place with this address in it.
Found last_to_leave(std::uint64_t address) {
  Found found;
  for_each_event([&](const Event& event, std::uint64_t number) {
    if (!leaves(event) || !old_extent(event).contains(address)) return;
    if (!found.any || event.time >= found.event.time) found = {event, number, true};
  });
  return found;
}

// The first copy after `from` that took the goroutine on from where that one had put it.
Found next_copy(const Event& from) {
  Found found;
  for_each_event([&](const Event& event, std::uint64_t number) {
    if (event.goroutine != from.goroutine || !copies(event) || event.time <= from.time ||
        old_extent(event) != new_extent(from))
      return;
    if (!found.any || event.time < found.event.time) found = {event, number, true};
  });
  return found;
}

struct Owner {
  Goroutine* goroutine = nullptr;
  bool has_extent = false;  // one of its segments is the extent asked for
};

// Calls visit(extent) for each segment of g.
template <class Visit>
void for_each_extent(const Goroutine& g, Visit visit) {
  visit(Extent{g.stack_lo, g.stack_hi - g.stack_lo});
  for (const Segment* s = g.segments; s != nullptr; s = s->previous) visit(Extent{s->lo, s->hi - s->lo});
}

Owner owner_of(std::uint64_t id, const Extent& wanted) {
  Owner owner;
  for_each_goroutine([&](Goroutine& g) {
    if (g.id != id) return;
    owner.goroutine = &g;
    for_each_extent(g, [&](const Extent& extent) { owner.has_extent |= extent == wanted; });
  });
  return owner;
}

bool in_use(std::uint64_t address) {
  bool found = false;
  for_each_goroutine([&](const Goroutine& g) {
    if (g.id != 0) for_each_extent(g, [&](const Extent& extent) { found |= extent.contains(address); });
  });
  return found;
}

void say_object_of(const Event& left, std::uint64_t address) {
  Event last = left;
  std::uint64_t now = moved(last, address);
  std::uint64_t moves = 1;
  for (Found next = next_copy(last); next.any; next = next_copy(last)) {
    now = moved(next.event, now);
    last = next.event;
    ++moves;
  }
  const Owner owner = owner_of(left.goroutine, new_extent(last));
  if (owner.goroutine == nullptr) {
    say("runtime: goroutine %lu has ended, and the object with it\n", left.goroutine);
  } else if (owner.has_extent) {
    say("runtime: the object is now at 0x%lx, after %lu move%s\n", now, moves, moves == 1 ? "" : "s");
  } else {
    say("runtime: the object was at 0x%lx then; where it went is no longer recorded (STACKTIDE_EVENTS)\n", now);
  }
}

// No event is left of it, or there was none: its goroutine ended.
bool say_given_back(const char* name, std::uint64_t address) {
  const StackPlace place = describe_stack_address(address);
  if ((place.kind != StackPlace::freed && place.kind != StackPlace::unmapped) || place.freed_by == 0) return false;
  say("runtime: %s 0x%lx lies in a stack that goroutine %lu gave back: [0x%lx, 0x%lx)\n", name, address, place.freed_by,
      place.lo, place.hi);
  return true;
}

}  // namespace

bool say_stack_of(const char* name, std::uint64_t address) {
  if (in_use(address)) return false;
  const Found left = last_to_leave(address);
  if (!left.any) return say_given_back(name, address);
  const Event& event = left.event;
  const std::int64_t microseconds = (event.time - scheduler.start) / 1000;
  say("runtime: %s 0x%lx lies in a stack that goroutine %lu has left: [0x%lx, 0x%lx)\n", name, address, event.goroutine,
      event.old_lo, event.old_lo + event.old_size);
  say("runtime: left by a %s, event %lu of ring %u, at %ld.%06ld s: from %u to %u bytes, now [0x%lx, 0x%lx)\n",
      kind_text(event.kind), left.number, static_cast<unsigned>(event.ring), microseconds / 1'000'000,
      microseconds % 1'000'000, event.old_size, event.new_size, event.new_lo, event.new_lo + event.new_size);
  if (copies(event)) {
    say_object_of(event, address);
  } else {
    say("runtime: the function that had the object has returned\n");
  }
  return true;
}

}  // namespace stacktide::runtime
