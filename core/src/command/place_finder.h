// Finds what lies at an address: the snapshot's stacks first, then events, arena, threads, modules, memory.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "analyze/map_frames.h"
#include "analyze/places.h"
#include "command/session_access.h"

namespace stacktide {

// A goroutine's frames with the maps of their pcs.
struct MapStack {
  std::vector<MapFrame> frames;  // one for each stack frame: inlined levels are joined
  bool complete = false;
  std::string stop_reason;
  std::vector<std::string> problems;  // records that are damaged
};
// `maps` may be nullptr: then no frame has one.
MapStack map_stack(Session& session, const Goroutine& goroutine, const StackMaps* maps);

class PlaceFinder {
 public:
  // Both outlive it. Maps are used when the program has some.
  PlaceFinder(Session& session, Snapshot& snapshot);

  // Everything about it.
  Place find(Address address);
  // Without frames, variables and symbols: for many addresses, most of which lie nowhere special.
  Place classify(Address address);
  // The same for addresses of stacks alone, used or not; nothing for all others.
  std::optional<Place> stack_at(Address address);
  // Adds to what classify() said.
  void complete(Place& place);

  // Does what lies there stay there? So it does on a segment that the policy, or a frame by its record, keeps from moving.
  bool stays(const Place& stack);
  // To say of what stays: ", which is pinned".
  const char* why_it_stays() const;

  const StackIndex& stacks() const { return stacks_; }
  const StackMaps* maps() const { return maps_; }
  // Kept for the goroutines asked for last.
  const MapStack& frames_of(const Goroutine& goroutine);

 private:
  bool in_a_stack(Place& place);
  bool left_behind(Place& place);
  bool in_the_arena(Place& place);
  bool in_a_thread_stack(Place& place);
  bool in_a_module(Place& place);
  std::optional<FrameSpot> spot(const Goroutine& goroutine, Address address);

  Session& session_;
  Snapshot& snapshot_;
  StackIndex stacks_;
  const StackMaps* maps_ = nullptr;
  std::unordered_map<std::uint64_t, MapStack> frames_;  // by goroutine id
};

}  // namespace stacktide
