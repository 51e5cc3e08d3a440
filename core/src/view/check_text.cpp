#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <filesystem>

#include "base/printable.h"
#include "view/check.h"

namespace stacktide {
namespace {

std::uint64_t whole(double amount) { return static_cast<std::uint64_t>(amount); }

std::string function_text(const TracePlace& place) {
  if (place.function.empty()) return "an unknown function";
  const auto name = short_name(printable(place.function));
  return place.file.empty() ? name : fmt::format("{} ({})", name, file_line(printable(place.file), place.line));
}

// "in F (file:line), called from C (file:line)".
std::string calls_text(const Culprit& culprit) {
  auto text = fmt::format("in {}", function_text(culprit.place));
  if (!culprit.caller.function.empty()) text += fmt::format(", called from {}", function_text(culprit.caller));
  return text;
}

std::string entry_text(const Culprit& culprit) {
  return culprit.entry.empty() ? "an unknown entry function" : short_name(printable(culprit.entry));
}

std::string ids_text(const Culprit& culprit) {
  const bool one = culprit.goroutines.size() + culprit.more_goroutines == 1;
  auto text = fmt::format("{} {}", one ? "goroutine" : "goroutines", fmt::join(culprit.goroutines, ", "));
  if (culprit.more_goroutines != 0) text += fmt::format(" and {} more", grouped(culprit.more_goroutines));
  return text;
}

// What a sum is made of.
std::string amount_text(Metric metric, double amount) {
  const auto quantity = quantity_text(amount, info_of(metric).unit);
  switch (metric) {
    case Metric::largest_stack:
      return fmt::format("a stack of {}", quantity);
    case Metric::high_water:
      return fmt::format("{} used", quantity);
    case Metric::growths_per_goroutine:
    case Metric::growths:
      return plural(whole(amount), "growth");
    case Metric::bytes_copied:
      return fmt::format("{} copied", quantity);
    case Metric::growth_time_share:
      return fmt::format("{} of the run", quantity);
    case Metric::longest_growth:
      return fmt::format("{} for one event", quantity);
    case Metric::hot_splits:
      return plural(whole(amount), "hot split");
    case Metric::thrash:
      return fmt::format("{} after a shrink", plural(whole(amount), "growth"));
    default:
      return quantity;
  }
}

// "3 goroutines of worker wait at leak.cpp:21 (chan receive), created in main at leak.cpp:40: goroutines 3, 4, 5". Of one
// that waits elsewhere than in its entry function "wait in receive at ...".
std::string waiting_text(const Culprit& culprit) {
  const auto count = whole(culprit.amount);
  auto text = fmt::format("{} of {}", plural(count, "goroutine"), entry_text(culprit));
  const auto at = [&](const TracePlace& place) {
    std::string words;
    if (place.file.empty() || place.function != culprit.entry)
      words = fmt::format(" in {}", short_name(printable(place.function)));
    if (!place.file.empty()) words += fmt::format(" at {}", file_line(printable(place.file), place.line));
    return words;
  };
  if (culprit.place.function.empty()) {
    const auto state = culprit.waits.empty() ? "waiting" : culprit.waits == "syscall" ? "in a library call" : culprit.waits;
    text += fmt::format(" {} {}", count == 1 ? "is" : "are", state);
  } else {
    text += fmt::format(" {}{}", count == 1 ? "waits" : "wait", at(culprit.place));
    if (!culprit.waits.empty()) text += fmt::format(" ({})", printable(culprit.waits));
  }
  if (!culprit.caller.function.empty()) text += fmt::format(", created{}", at(culprit.caller));
  return text + ": " + ids_text(culprit);
}

std::string maximum_text(const RuleResult& result, const Culprit& culprit) {
  const auto metric = result.rule.metric;
  auto text = fmt::format("{}: {} of {}", amount_text(metric, culprit.amount), ids_text(culprit), entry_text(culprit));
  if (culprit.place.function.empty()) return metric == Metric::largest_stack ? text + ", its first size" : text;
  if (metric == Metric::growths_per_goroutine && culprit.in_place < culprit.amount)
    return fmt::format("{}, {} of them {}", text, grouped(whole(culprit.in_place)), calls_text(culprit));
  return fmt::format("{}, {}", text, calls_text(culprit));
}

std::string_view word_of(const RuleResult& result) {
  if (result.verdict != Verdict::fails) return "ok  ";
  return result.rule.warning ? "warn" : "FAIL";
}

std::string coloured(std::string_view word, const Style& style) {
  if (!style.colour) return std::string(word);
  const int colour = word == "FAIL" ? 31 : word == "warn" ? 33 : 32;
  return fmt::format("\x1b[{}m{}\x1b[0m", colour, word);
}

std::string verdicts_text(const CheckReport& report) {
  const auto failed = report.failed();
  const auto warned = report.warned();
  const auto held = report.results.size() - failed - warned;
  auto text = fmt::format("{} on {}: {} {}", plural(report.results.size(), "rule"), printable(report.trace.name), held,
                          held == 1 ? "holds" : "hold");
  if (failed != 0) text += fmt::format(", {} {}", failed, failed == 1 ? "fails" : "fail");
  if (warned != 0) text += fmt::format(", {}", plural(warned, "warning"));
  return text + '\n';
}

}  // namespace

std::string quantity_text(double amount, Unit unit) {
  switch (unit) {
    case Unit::bytes:
      return amount < 1024 ? size_text(whole(amount))
                           : fmt::format("{} ({} bytes)", size_text(whole(amount)), whole(amount));
    case Unit::nanoseconds: {
      const auto text = duration(static_cast<std::int64_t>(amount));
      return amount < 1000 ? text : fmt::format("{} ({} ns)", text, whole(amount));
    }
    case Unit::percent:
      return fmt::format("{:.4g}%", amount);
    case Unit::count:
      return grouped(whole(amount));
  }
  return "";
}

std::string result_text(const RuleResult& result) {
  const auto& metric = info_of(result.rule.metric);
  if (result.verdict == Verdict::nothing) return fmt::format("{}: nothing matches, which is allowed", metric.name);
  auto text = fmt::format("{} {}, limit {}", metric.name, quantity_text(result.value, metric.unit),
                          quantity_text(result.limit, metric.unit));
  if (result.by_baseline)
    text += fmt::format(" (the baseline's {} and {})", quantity_text(*result.baseline, metric.unit),
                        printable(result.rule.tolerance->text));
  else if (result.baseline) text += fmt::format(" (the baseline has {})", quantity_text(*result.baseline, metric.unit));
  return text;
}

std::string culprit_text(const RuleResult& result, const Culprit& culprit) {
  const auto metric = result.rule.metric;
  std::string text;
  if (metric == Metric::live_at_exit || metric == Metric::deadlock) {
    text = waiting_text(culprit);
  } else if (is_maximum(metric)) {
    text = maximum_text(result, culprit);
  } else {
    text = fmt::format("{} {}: {} of {}", amount_text(metric, culprit.amount), calls_text(culprit), ids_text(culprit),
                       entry_text(culprit));
  }
  if (culprit.baseline)
    text += fmt::format("; {} in the baseline",
                        *culprit.baseline == 0 ? "none" : quantity_text(*culprit.baseline, info_of(metric).unit));
  return text;
}

std::string more_text(const RuleResult& result) {
  return result.more_culprits == 0 ? "" : fmt::format("and {} more (--top)", grouped(result.more_culprits));
}

std::string check_text(const CheckReport& report, const Style& style) {
  std::string text;
  for (const auto& result : report.results) {
    text +=
        fmt::format("{}  {}: {}\n", coloured(word_of(result), style), bold(result.rule.name, style), result_text(result));
    for (const auto& culprit : result.culprits) text += fmt::format("      {}\n", culprit_text(result, culprit));
    if (const auto more = more_text(result); !more.empty()) text += fmt::format("      {}\n", more);
  }
  text += verdicts_text(report);
  for (const auto& line : report.notes) text += fmt::format("note: {}\n", printable(line));
  for (const auto& line : report.trace.incomplete) text += fmt::format("incomplete: {}\n", printable(line));
  return text;
}

CheckPlace place_in(const std::string& root, const TracePlace& place) {
  if (place.file.empty()) return {};
  const std::filesystem::path path(place.file);
  if (path.is_relative() || root.empty()) return {path.lexically_normal().generic_string(), place.line};
  const auto relative = path.lexically_normal().lexically_relative(std::filesystem::path(root).lexically_normal());
  if (relative.empty() || *relative.begin() == "..") return {path.lexically_normal().generic_string(), place.line};
  return {relative.generic_string(), place.line};
}

CheckPlace place_of_result(const CheckReport& report, const RuleResult& result, const Culprit* culprit,
                           const std::string& root) {
  if (culprit != nullptr && !culprit->place.file.empty()) return place_in(root, culprit->place);
  if (culprit != nullptr && !culprit->caller.file.empty()) return place_in(root, culprit->caller);
  std::error_code ignored;
  const auto rules = std::filesystem::absolute(report.rules, ignored);
  return place_in(root, {"", rules.generic_string(), result.rule.at.line});
}

}  // namespace stacktide
