// JUnit XML. Two grammars of it are in use, and this keeps both: that of Ant (Windy Road's JUnit.xsd) wants properties first
// and system-out and system-err last in each suite, and no output within a test case; Jenkins' xunit plugin (junit-10.xsd)
// allows that.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "view/check.h"
#include "view/json.h"

namespace stacktide {
namespace {

// Text and attributes alike. What XML 1.0 has no character for becomes U+FFFD.
std::string xml(std::string_view raw) {
  // The one function here that repairs UTF-8 is that of JSON.
  const auto repaired =
      Json::parse(Json(raw).dump(-1, ' ', false, Json::error_handler_t::replace), nullptr, false).get<std::string>();
  std::string out;
  for (const char c : repaired) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') {
          out += c;
        } else {
          out += "\xef\xbf\xbd";
        }
    }
  }
  return out;
}

std::string time_text(std::int64_t nanoseconds) {
  const std::time_t seconds = nanoseconds / 1'000'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}", parts);
}

std::string culprits_text(const RuleResult& result) {
  std::string text;
  for (const auto& culprit : result.culprits) text += culprit_text(result, culprit) + '\n';
  if (const auto more = more_text(result); !more.empty()) text += more + '\n';
  return text;
}

std::string test_case(const RuleResult& result) {
  auto text = fmt::format("    <testcase name=\"{}\" classname=\"stacktide.trace.check\" time=\"0\"", xml(result.rule.name));
  if (result.verdict == Verdict::nothing)
    return text + fmt::format(">\n      <skipped message=\"{}\"/>\n    </testcase>\n", xml(result_text(result)));
  if (result.verdict != Verdict::fails || result.rule.warning) return text + "/>\n";
  return text + fmt::format(">\n      <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>\n",
                            info_of(result.rule.metric).name, xml(result_text(result)), xml(culprits_text(result)));
}

std::string property(std::string_view name, std::string_view value) {
  return fmt::format("      <property name=\"{}\" value=\"{}\"/>\n", name, xml(value));
}

}  // namespace

std::string check_junit(const CheckReport& report) {
  std::string cases;
  std::string warnings;
  std::size_t skipped = 0;
  for (const auto& result : report.results) {
    cases += test_case(result);
    if (result.verdict == Verdict::nothing) ++skipped;
    if (result.verdict == Verdict::fails && result.rule.warning)
      warnings += fmt::format("warning: {}: {}\n{}", result.rule.name, result_text(result), culprits_text(result));
  }
  std::string said;
  for (const auto& line : report.notes) said += fmt::format("note: {}\n", line);
  for (const auto& line : report.trace.incomplete) said += fmt::format("incomplete: {}\n", line);
  auto properties = property("trace", report.trace.name) + property("rules", report.rules);
  if (!report.baseline.empty()) properties += property("baseline", report.baseline);
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites>\n"
      "  <testsuite name=\"stacktide trace check\" package=\"stacktide\" id=\"0\" tests=\"{}\" failures=\"{}\" errors=\"0\" "
      "skipped=\"{}\" time=\"{:.3f}\" timestamp=\"{}\" hostname=\"localhost\">\n"
      "    <properties>\n{}    </properties>\n{}"
      "    <system-out>{}</system-out>\n"
      "    <system-err>{}</system-err>\n"
      "  </testsuite>\n"
      "</testsuites>\n",
      report.results.size(), report.failed(), skipped, static_cast<double>(report.trace.last - report.trace.first) / 1e9,
      time_text(report.trace.began), properties, cases, xml(warnings), xml(said));
}

}  // namespace stacktide
