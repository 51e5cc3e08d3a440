// A trace measured for rules: the value of each rule's metric, over what its filters let through.
//
// Concept. One pass over the records adds up all goroutines; a rule with filters on goroutines takes its part of that. Rules
// with a filter on functions share a second pass, with sums of their own for each such filter. Who is to blame is a further
// pass, and asked only of rules that fail (analyze/culprits.h).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "analyze/rules.h"
#include "trace/totals.h"
#include "trace/trace_source.h"

namespace stacktide {

// Is the rule's value that of the goroutine that has most, and not a sum?
bool is_maximum(Metric metric);

class Measurement {
 public:
  // Both outlive it.
  Measurement(TraceSource& source, const RuleSet& rules);

  double value(const Rule& rule) const;
  // Errors of filters that match nothing in this trace, with their places; of optional rules none.
  std::vector<std::string> unmatched(const Rule& rule) const;
  // Its filters match nothing.
  bool is_empty(const Rule& rule) const { return !unmatched_of(rule).empty(); }

  TraceSource& source() const { return source_; }
  const TraceTotals& totals() const { return totals_; }
  // Do the rule's filters let them through?
  bool takes(const Rule& rule, const GoroutineTotals& goroutine) const;
  bool takes_chain(const Rule& rule, std::uint32_t chain) const;
  // What a goroutine, or any other sum, contributes to a metric of growth.
  double amount(Metric metric, const Growth& growth) const;
  // The same of a goroutine for this rule, function filter and all.
  double amount(const Rule& rule, const GoroutineTotals& goroutine) const;
  const TracePlace& entry_of(const GoroutineTotals& goroutine) const;
  // Was there when the program ended, and is not the main one.
  bool is_left(const GoroutineTotals& goroutine) const;
  // Where it waits, by its last park.
  const TracePlace& waits_at(std::uint32_t chain) const;

 private:
  void find_functions(const stacktide_trace_head& record);
  bool knows_function(const Pattern& pattern) const;
  std::vector<std::pair<RulePosition, std::string>> unmatched_of(const Rule& rule) const;

  TraceSource& source_;
  const RuleSet& rules_;
  TraceTotals totals_;
  // By the text of the rule's function filter.
  std::map<std::string, std::unique_ptr<TraceTotals>> filtered_;
  // Which chains are in use, for the functions that the trace knows.
  std::unordered_map<std::uint32_t, bool> chains_;
  mutable std::unordered_map<std::uint64_t, TracePlace> entries_;
  mutable std::unordered_map<std::uint32_t, TracePlace> waits_;
  mutable std::map<std::string, std::unordered_map<std::uint32_t, bool>> taken_;
};

}  // namespace stacktide
