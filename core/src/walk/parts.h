// The walker's parts and what they share. Private to walk/.
#pragma once

#include <map>
#include <string>
#include <unordered_map>

#include "descriptor/event_record.h"
#include "descriptor/record.h"
#include "walk/walker.h"

namespace stacktide {

struct WalkContext {
  Target& target;
  const Descriptor& descriptor;
  const Layout& layout;
  Snapshot& snapshot;

  std::map<std::uint64_t, Registers> threads;                  // by tid
  std::unordered_map<Address, std::size_t> machine_at;         // address of an M -> index in snapshot.ms
  std::unordered_map<Address, std::size_t> machine_of;         // address of a goroutine -> index of the M that holds it
  std::unordered_map<Address, std::uint64_t> id_at;            // address of a goroutine -> id
  std::unordered_map<Address, Address> next_of;                // address of a goroutine -> goroutine.next, when not 0
  std::unordered_map<std::size_t, Address> machine_goroutine;  // index in snapshot.ms -> address of its goroutine
  std::unordered_map<std::size_t, Address> machine_processor;  // index in snapshot.ms -> address of its P
  std::unordered_map<Address, std::uint64_t> processor_at;     // address of a P -> its id

  std::int64_t constant(std::string_view name, std::int64_t otherwise) const {
    const auto found = descriptor.constants.find(name);
    return found == descriptor.constants.end() ? otherwise : found->second;
  }
  // "12 of 40 goroutine records are not there, from 0x...", once per hole-ridden row.
  void note_absent(std::string_view what, std::uint64_t absent, std::uint64_t total, Address first);
};

// Ms and the threads behind them, before goroutines (which take their registers from there).
void walk_machines(WalkContext& context);
void walk_goroutines(WalkContext& context);
// The one record at this address, if it is in use. Errors: memory_fault.
Result<void> walk_goroutine(WalkContext& context, Address address);
// Ps, queues and the scheduler record, after goroutines (whose ids stand in the queues).
void walk_scheduler(WalkContext& context);
void walk_events(WalkContext& context);
void walk_hot_splits(WalkContext& context);
void walk_stack_maps(WalkContext& context);

}  // namespace stacktide
