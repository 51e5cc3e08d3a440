// Whose stack an address lies in: now, or before the stack moved on.
//
// Concept. The goroutines' segments say whose it is now. For an address in none of them, the events say whose it was: the
// last one that left a place with the address in it, and the moves that the object in it has made since. Copying keeps the
// distance from the end of the stack. A link leaves nothing behind; a release does. The runtime does the same for its fault
// reports.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "stacktide/core/snapshot.h"

namespace stacktide {

struct StackSpot {
  const Goroutine* goroutine = nullptr;
  std::size_t segment = 0;
  bool used = false;  // at or above its sp, as far as that is known
};

// All stacks of a snapshot by address. The snapshot outlives it and does not change.
class StackIndex {
 public:
  explicit StackIndex(const Snapshot& snapshot);
  std::optional<StackSpot> find(Address address) const;

 private:
  struct Entry {
    Address lo;
    Address hi;
    const Goroutine* goroutine;
    std::size_t segment;
  };
  std::vector<Entry> entries_;  // by lo
};

enum class Fate : std::uint8_t {
  moved,     // the object is at Departure::now
  returned,  // its function has returned: the segment was released
  ended,     // its goroutine has ended
  lost       // it was at `now` once; later events are overwritten
};

struct Departure {
  const StackEvent* event = nullptr;  // the last that left the address behind
  Fate fate = Fate::lost;
  Address now = 0;
  std::uint64_t moves = 0;
};

// Does it lie in the arena for stacks, or is that arena not known?
bool may_be_stack(const Snapshot& snapshot, Address address);

// Nothing: no event that is left tells of the address.
std::optional<Departure> departure_of(const Snapshot& snapshot, Address address);

// "growth", "shrink", "release of a segment".
const char* departure_name(const StackEvent& event);

}  // namespace stacktide
