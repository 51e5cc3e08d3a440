// What rules can be about: one table of metrics, from which checks, errors and explanations are made.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "trace/trace_source.h"

namespace stacktide {

enum class Metric : std::uint8_t {
  largest_stack,
  high_water,
  growths_per_goroutine,
  growths,
  bytes_copied,
  growth_time_share,
  longest_growth,
  hot_splits,
  thrash,
  live_at_exit,
  deadlock,
  lost_events,
};

enum class Unit : std::uint8_t { count, bytes, nanoseconds, percent };

struct MetricInfo {
  Metric metric;
  std::string_view name;
  Unit unit;
  TracePart part;
  bool takes_entry;  // filters that a rule about it may have
  bool takes_label;
  bool takes_function;
  std::string_view means;     // a sentence
  std::string_view computed;  // how, precisely
  std::string_view function;  // which function the filter `function` is about, and failures name; "" none
  std::string_view cure;      // what to do when a rule about it fails
};

// In the order of the enumeration.
std::span<const MetricInfo> metrics();
const MetricInfo& info_of(Metric metric);
// nullptr: there is none of this name.
const MetricInfo* find_metric(std::string_view name);

}  // namespace stacktide
