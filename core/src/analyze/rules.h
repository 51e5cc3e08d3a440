// The rules file of `trace check`: TOML, a [[rule]] table for each rule.
//
//   [[rule]]
//   name = "workers stay small"      # of its own; what reports call it
//   metric = "largest_stack"         # analyze/metrics.h has the table
//   entry = "worker"                 # filters: regular expressions, searched for in the entry function's name,
//   label = "^conn"                  #   the goroutine's last label,
//   function = "parse"               #   the function that needed room or waits
//   max = "64KiB"                    # the most that is right
//   tolerance = "10%"                # the most beyond the baseline, relative or absolute
//   level = "error"                  # or "warning", which is reported and does not fail
//   optional = true                  # holds when its filters match nothing, which is an error else
//
// Invariants. Whatever is not understood is an error with its line and column, never passed over: a rule with a typing
// error would hold for ever. All errors of a file are reported at once, but for those of TOML itself, of which the first is.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/metrics.h"
#include "base/pattern.h"

namespace stacktide {

struct RulePosition {
  std::uint32_t line = 0;  // from 1
  std::uint32_t column = 0;
};

struct RuleFilter {
  std::string text;
  RulePosition at;  // of its value
  std::shared_ptr<const Pattern> pattern;
};

struct Tolerance {
  double amount = 0;  // percent of the baseline's value, or in the metric's unit
  bool relative = false;
  RulePosition at;
  std::string text;  // as written: "10%"
};

struct Rule {
  std::string name;
  Metric metric = Metric::largest_stack;
  std::optional<RuleFilter> entry;
  std::optional<RuleFilter> label;
  std::optional<RuleFilter> function;
  std::optional<double> max;  // in the metric's unit
  std::optional<Tolerance> tolerance;
  bool warning = false;
  bool optional = false;
  RulePosition at;         // of [[rule]]
  RulePosition metric_at;  // of the metric's name
};

struct RuleSet {
  std::string path;
  std::vector<Rule> rules;
};

// "stacktide.toml:7:3: text".
std::string at_position(const RuleSet& rules, RulePosition at, std::string_view text);

// Errors: a line each, in order of their places.
std::expected<RuleSet, std::vector<std::string>> parse_rules(std::string_view toml, const std::string& path);
std::expected<RuleSet, std::vector<std::string>> read_rules(const std::string& path);

}  // namespace stacktide
