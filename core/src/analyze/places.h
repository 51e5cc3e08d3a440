// What lies at an address, as a value: for people, JSON, and the audit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "analyze/stack_places.h"
#include "stacktide/core/snapshot.h"

namespace stacktide {

enum class PlaceKind : std::uint8_t {
  stack,         // a goroutine's
  left_stack,    // one that a goroutine has moved away from, or released: an event says so
  freed_stack,   // one that a goroutine gave back, long ago or when it ended
  free_arena,    // of the arena for stacks, but in nobody's
  thread_stack,  // an M's system stack
  code,
  data,    // of a module
  memory,  // readable, and none of the others
  absent
};
// As in JSON: "left_stack". Static.
const char* place_kind_name(PlaceKind kind);

// Where in a goroutine's frames.
struct FrameSpot {
  std::size_t level = 0;  // as bt numbers it
  std::string function;
  std::string file;
  std::uint32_t line = 0;
  Address pc = 0;
  std::int64_t offset = 0;  // bytes from the CFA
  std::string variable;     // "n", "values+24"; "" when no map names one
  std::string type;
};

struct Place {
  Address address = 0;
  PlaceKind kind = PlaceKind::absent;
  // Of a stack, freed or not, and of an M's: its extent.
  Address lo = 0;
  Address hi = 0;
  std::uint64_t goroutine = 0;  // whose stack it is, or was; 0 none known
  std::size_t segment = 0;      // 0: the current one
  Address sp = 0;               // of that segment
  bool used = false;
  std::optional<FrameSpot> frame;
  // Who left it. Of a stack in use, only when that was another goroutine's before.
  std::optional<Departure> departure;
  std::optional<FrameSpot> now;  // where the object is since
  std::uint64_t m = 0;
  std::uint64_t tid = 0;
  std::string module;
  std::string symbol;  // readable; "" none covers it
  std::uint64_t offset = 0;
  std::string section;
  std::string file;  // of code
  std::uint32_t line = 0;

  // Does a pointer to it outlive what it points to?
  bool stale() const { return kind == PlaceKind::left_stack || kind == PlaceKind::freed_stack; }
};

}  // namespace stacktide
