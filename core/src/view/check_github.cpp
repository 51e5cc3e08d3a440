// GitHub Actions reads lines of a step's output that begin with "::" as commands; these make annotations at source lines.
#include <fmt/format.h>

#include "view/check.h"

namespace stacktide {
namespace {

// As the toolkit does (packages/core, command.ts): % first, then what ends a line, and in properties what ends a property.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '%') out += "%25";
    else if (c == '\r') out += "%0D";
    else if (c == '\n') out += "%0A";
    else out += c;
  }
  return out;
}

std::string property(std::string_view text) {
  std::string out;
  for (const char c : escaped(text)) {
    if (c == ':') out += "%3A";
    else if (c == ',') out += "%2C";
    else out += c;
  }
  return out;
}

std::string annotation(const CheckReport& report, const RuleResult& result, const Culprit* culprit,
                       const std::string& root) {
  const auto place = place_of_result(report, result, culprit, root);
  auto text = result_text(result);
  if (culprit != nullptr) text += fmt::format("\n{}", culprit_text(result, *culprit));
  return fmt::format("::{} file={},line={},title={}::{}\n", result.rule.warning ? "warning" : "error", property(place.file),
                     std::max<std::uint32_t>(place.line, 1), property(result.rule.name), escaped(text));
}

}  // namespace

std::string check_github(const CheckReport& report, const std::string& root) {
  std::string out;
  for (const auto& result : report.results) {
    if (result.verdict != Verdict::fails) continue;
    if (result.culprits.empty()) out += annotation(report, result, nullptr, root);
    for (const auto& culprit : result.culprits) out += annotation(report, result, &culprit, root);
  }
  for (const auto& line : report.trace.incomplete) out += fmt::format("::warning title=stacktide::{}\n", escaped(line));
  return out;
}

}  // namespace stacktide
