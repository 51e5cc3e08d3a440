// A trace checked against rules: which hold, which fail, and who made them fail.
//
// Concept. Works on any TraceSource, a recording as well as what a debugger reads from a live program. What is found are
// plain values; view/check.h makes text, XML and JSON of them, all with the same words.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "analyze/culprits.h"
#include "analyze/rules.h"
#include "trace/trace_source.h"

namespace stacktide {

enum class Verdict : std::uint8_t {
  holds,
  fails,    // counts as a failure unless the rule is a warning
  nothing,  // an optional rule whose filters match nothing: holds
};

struct RuleResult {
  Rule rule;
  Verdict verdict = Verdict::holds;
  double value = 0;                // in the metric's unit
  double limit = 0;                // the smaller one, when a rule has two
  bool by_baseline = false;        // the limit comes from the baseline
  std::optional<double> baseline;  // the baseline's value, when the rule has a tolerance
  std::vector<Culprit> culprits;   // of one that fails, worst first
  std::size_t more_culprits = 0;   // left out
};

struct CheckReport {
  std::string rules;  // path of the rules file
  TraceFacts trace;
  std::string baseline;  // its name; "" none
  std::vector<RuleResult> results;
  std::vector<std::string> notes;  // how numbers are to be read, a line each
  std::size_t failed() const;      // rules that fail and are errors
  std::size_t warned() const;      // rules that fail and are warnings
  // 0 all hold; 1 some fail; 3 none fails, but the trace is incomplete, so that they might.
  int exit_code() const;
};

struct CheckOptions {
  std::size_t top = 5;  // culprits of a rule
};

// Errors, a line each: rules that the source cannot be asked, tolerances without a baseline, filters that match nothing.
std::expected<CheckReport, std::vector<std::string>> check(const RuleSet& rules, TraceSource& source, TraceSource* baseline,
                                                           const CheckOptions& options);

}  // namespace stacktide
