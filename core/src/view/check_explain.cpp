// `trace check --explain`: metrics and rules in words.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "analyze/quantity.h"
#include "base/printable.h"
#include "view/check.h"

namespace stacktide {
namespace {

std::string filters_text(const MetricInfo& metric) {
  std::vector<std::string_view> filters;
  if (metric.takes_entry) filters.push_back("entry");
  if (metric.takes_label) filters.push_back("label");
  if (metric.takes_function) filters.push_back("function");
  return filters.empty() ? "none" : fmt::format("{}", fmt::join(filters, ", "));
}

std::string_view unit_text(Unit unit) {
  switch (unit) {
    case Unit::count:
      return "count";
    case Unit::bytes:
      return "bytes";
    case Unit::nanoseconds:
      return "time";
    case Unit::percent:
      return "percent";
  }
  return "";
}

std::string row(std::string_view name, std::string_view text) { return fmt::format("  {:<9} {}\n", name, text); }

std::string metric_rows(const MetricInfo& metric) {
  auto filters = filters_text(metric);
  if (metric.takes_function) filters += fmt::format(" ({})", metric.function);
  return row("computed", metric.computed) + row("limit", wanted(metric.unit)) + row("filters", filters) +
         row("cure", metric.cure);
}

}  // namespace

std::string explain_metrics(const Style& style) {
  Table table;
  for (const auto* header : {"metric", "limit", "filters", "what it says"}) table.column(header, Align::left);
  table.shrink(3);
  for (const auto& metric : metrics()) {
    table.row(
        {std::string(metric.name), std::string(unit_text(metric.unit)), filters_text(metric), std::string(metric.means)});
  }
  return table.render(style) + "more about one: stacktide trace check --explain METRIC\n";
}

std::string explain_metric(const MetricInfo& metric, const Style& style) {
  return fmt::format("{}: {}\n", bold(metric.name, style), metric.means) + metric_rows(metric);
}

std::string explain_rule(const RuleSet& rules, const Rule& rule, const Style& style) {
  const auto& metric = info_of(rule.metric);
  auto text = fmt::format("{} ({}:{}): {}{}\n", bold(rule.name, style), rules.path, rule.at.line, metric.name,
                          rule.warning ? ", a warning" : "");
  if (rule.max) text += row("max", quantity_text(*rule.max, metric.unit));
  if (rule.tolerance)
    text += row("tolerance", fmt::format("{} beyond the baseline's value", printable(rule.tolerance->text)));
  if (rule.entry)
    text += row("entry", fmt::format("goroutines whose entry function matches '{}'", printable(rule.entry->text)));
  if (rule.label) text += row("label", fmt::format("goroutines whose label matches '{}'", printable(rule.label->text)));
  if (rule.function)
    text +=
        row("function", fmt::format("where the function matches '{}': {}", printable(rule.function->text), metric.function));
  if (rule.optional) text += row("optional", "holds when nothing matches");
  return text + row("means", metric.means) + row("computed", metric.computed) + row("cure", metric.cure);
}

}  // namespace stacktide
