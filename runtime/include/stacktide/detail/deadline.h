// From a duration to the moment when it is over.
#pragma once

#include <chrono>
#include <cstdint>

namespace stacktide::detail {

// In nanoseconds of steady_clock. hours::max() and its like do not fit into nanoseconds: they mean for ever, and their
// negatives not at all.
template <class Rep, class Period>
std::int64_t deadline_after(std::chrono::duration<Rep, Period> d) {
  const std::int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
  const double nanoseconds = std::chrono::duration<double, std::nano>(d).count();
  constexpr double kForEver = 9.0e18;
  if (nanoseconds >= kForEver - static_cast<double>(now)) return INT64_MAX;
  if (nanoseconds <= 0) return now;
  return now + std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
}

}  // namespace stacktide::detail
