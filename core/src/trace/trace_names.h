// Names for what a trace refers to by number: chains of calls, code addresses, wait reasons.
//
// A Recording answers from its symbol records, and where it has none from the files that its modules name (if their
// build-ids are the recorded ones); a live trace answers from its session.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trace/recording.h"

namespace stacktide {

// A place for people: the innermost user level at an address.
struct TracePlace {
  std::string function;  // "0x55..." when nothing is known
  std::string file;
  std::uint32_t line = 0;
};

// "segmented": what the header's number stands for; "" for one that is not known.
std::string_view policy_name(std::uint32_t policy);
// Belongs to the goroutine runtime.
bool is_runtime_level(const TraceLevel& level);
// Belongs neither to it nor to the system.
bool is_user_level(const TraceLevel& level);

class TraceNames {
 public:
  virtual ~TraceNames() = default;
  virtual std::span<const std::uint64_t> chain(std::uint32_t number) = 0;
  // The levels at an address, innermost inlined function first; at least one. Valid until the next call.
  virtual const std::vector<TraceLevel>& levels(std::uint64_t pc, bool exact) = 0;
  virtual std::string wait_reason(std::uint16_t value) = 0;

  // The function that needed room: of a chain's first address, the outermost level, for the check stands in that function's
  // prologue. Empty texts for chain 0.
  TracePlace needed_room(std::uint32_t chain);
  // Who called it: the innermost user level of the chain's second address.
  TracePlace caller(std::uint32_t chain);
  // Where a goroutine parked or was created: the innermost level of the chain that is not the runtime's own.
  TracePlace user_place(std::uint32_t chain);
  // An entry function.
  TracePlace entry(std::uint64_t address);
};

}  // namespace stacktide
