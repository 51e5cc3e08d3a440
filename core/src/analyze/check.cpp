#include "analyze/check.h"

#include <fmt/format.h>

#include <algorithm>

namespace stacktide {
namespace {

// What the source cannot be asked, by the rule that asks.
void find_refusals(const RuleSet& rules, const Rule& rule, const TraceSource& source, std::vector<std::string>& errors) {
  const auto refuse = [&](RulePosition at, TracePart part, std::string_view what) {
    if (const auto why = source.lacks(part); !why.empty())
      errors.push_back(
          at_position(rules, at, fmt::format("rule '{}': no {} of {}: {}", rule.name, what, source.facts().name, why)));
  };
  refuse(rule.metric_at, info_of(rule.metric).part, info_of(rule.metric).name);
  if (rule.entry) refuse(rule.entry->at, TracePart::names, "entry functions");
  if (rule.label) refuse(rule.label->at, TracePart::names, "labels");
}

double limit_by(const Tolerance& tolerance, double baseline) {
  return tolerance.relative ? baseline * (1 + tolerance.amount / 100) : baseline + tolerance.amount;
}

RuleResult judge(const Rule& rule, const Measurement& now, const Measurement* before, const CheckOptions& options) {
  RuleResult result;
  result.rule = rule;
  if (rule.max) result.limit = *rule.max;
  if (rule.tolerance) {
    result.baseline = before->value(rule);
    const auto limit = limit_by(*rule.tolerance, *result.baseline);
    result.by_baseline = !rule.max || limit < *rule.max;
    if (result.by_baseline) result.limit = limit;
  }
  if (rule.optional && now.is_empty(rule)) {
    result.verdict = Verdict::nothing;
    return result;
  }
  result.value = now.value(rule);
  if (result.value <= result.limit) return result;
  result.verdict = Verdict::fails;
  result.culprits = find_culprits(rule, now, rule.tolerance ? before : nullptr, result.limit);
  if (result.culprits.size() > options.top) {
    result.more_culprits = result.culprits.size() - options.top;
    result.culprits.resize(options.top);
  }
  return result;
}

}  // namespace

std::size_t CheckReport::failed() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      results, [](const RuleResult& result) { return result.verdict == Verdict::fails && !result.rule.warning; }));
}

std::size_t CheckReport::warned() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      results, [](const RuleResult& result) { return result.verdict == Verdict::fails && result.rule.warning; }));
}

int CheckReport::exit_code() const {
  if (failed() != 0) return 1;
  return trace.incomplete.empty() ? 0 : 3;
}

std::expected<CheckReport, std::vector<std::string>> check(const RuleSet& rules, TraceSource& source, TraceSource* baseline,
                                                           const CheckOptions& options) {
  std::vector<std::string> errors;
  for (const auto& rule : rules.rules) {
    find_refusals(rules, rule, source, errors);
    if (!rule.tolerance) continue;
    if (baseline == nullptr) {
      errors.push_back(at_position(
          rules, rule.tolerance->at,
          fmt::format("rule '{}' has a tolerance, and there is no baseline: give an older trace with --baseline FILE",
                      rule.name)));
    } else {
      find_refusals(rules, rule, *baseline, errors);
    }
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));

  const Measurement now(source, rules);
  for (const auto& rule : rules.rules) {
    for (auto& line : now.unmatched(rule)) errors.push_back(std::move(line));
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));

  std::optional<Measurement> before;
  if (std::ranges::any_of(rules.rules, [](const Rule& rule) { return rule.tolerance.has_value(); }))
    before.emplace(*baseline, rules);
  CheckReport report;
  report.rules = rules.path;
  report.trace = source.facts();
  if (baseline != nullptr) {
    report.baseline = baseline->facts().name;
    for (const auto& line : baseline->facts().incomplete) report.notes.push_back(fmt::format("baseline: {}", line));
  }
  const bool asks_for_left =
      std::ranges::any_of(rules.rules, [](const Rule& rule) { return rule.metric == Metric::live_at_exit; });
  if (asks_for_left && source.facts().end.empty() && now.totals().records(STACKTIDE_TRACE_LIVE) == 0)
    report.notes.push_back("live_at_exit counts goroutines without an exit, since the trace has no end");
  for (const auto& rule : rules.rules) report.results.push_back(judge(rule, now, before ? &*before : nullptr, options));
  return report;
}

}  // namespace stacktide
