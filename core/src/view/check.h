// A checked trace as text for people, and as JUnit XML, SARIF, GitHub annotations and JSON for machines, all from the same
// sentences.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "analyze/check.h"
#include "view/text.h"

namespace stacktide {

// "64 KiB (65536 bytes)", "1.2 ms (1234567 ns)", "2.31%", "12".
std::string quantity_text(double amount, Unit unit);
// "hot_splits 999, limit 0"; with a baseline what the limit comes from.
std::string result_text(const RuleResult& result);
// "999 hot splits in callee (hot_split.cpp:35), called from caller (hot_split.cpp:46): goroutine 3 of worker".
std::string culprit_text(const RuleResult& result, const Culprit& culprit);
// "and 3 more"; "" when all are shown.
std::string more_text(const RuleResult& result);

std::string check_text(const CheckReport& report, const Style& style);
// JUnit XML as Jenkins reads it (junit-10.xsd), and as Ant wrote it first.
std::string check_junit(const CheckReport& report);
// SARIF 2.1.0. Files below `root`, an absolute folder, are relative to it. `version`: of this program.
std::string check_sarif(const CheckReport& report, const std::string& root, std::string_view version);
// A workflow command of GitHub Actions for each failure.
std::string check_github(const CheckReport& report, const std::string& root);
std::string check_json(const CheckReport& report);

// Where a failure is shown in source: in the function to blame, else where the rule stands.
struct CheckPlace {
  std::string file;  // relative to the root where it lies below it
  std::uint32_t line = 0;
};
CheckPlace place_in(const std::string& root, const TracePlace& place);
CheckPlace place_of_result(const CheckReport& report, const RuleResult& result, const Culprit* culprit,
                           const std::string& root);

std::string explain_metrics(const Style& style);
std::string explain_metric(const MetricInfo& metric, const Style& style);
std::string explain_rule(const RuleSet& rules, const Rule& rule, const Style& style);

}  // namespace stacktide
