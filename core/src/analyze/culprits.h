// Who made a rule fail: which goroutines, in which function, called by whom.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyze/measure.h"

namespace stacktide {

struct Culprit {
  double amount = 0;               // its part of the value, in the metric's unit
  std::optional<double> baseline;  // the same in the baseline, by names; 0 where it has nothing of these names
  // Of a metric about the goroutine that has most: what of the amount was in `place`.
  double in_place = 0;
  std::string entry;                      // of the goroutines; "" unknown
  std::vector<std::uint64_t> goroutines;  // those that have most, by id where it is the same
  std::uint64_t more_goroutines = 0;
  TracePlace
      place;  // the function that needed room, or in which they wait; of a stack that never grew: where it was created
  TracePlace caller;  // who called it; of goroutines that were left: where they were created
  std::string waits;  // of goroutines that were left: "chan receive", or "runnable" when it does not wait
};

inline constexpr std::size_t kFewGoroutines = 5;

// The culprits of a rule, worst first; those that did not contribute are left out. Reads the records again, also those of
// the baseline (null: none).
std::vector<Culprit> find_culprits(const Rule& rule, const Measurement& now, const Measurement* baseline, double limit);

}  // namespace stacktide
