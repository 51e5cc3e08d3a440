// SARIF 2.1.0 (OASIS), as GitHub's code scanning takes it: URIs relative to the source tree, a rule for each of ours, a
// result for each culprit. A rule that has no culprit in source, or none that is known, shows where it stands in the rules
// file.
#include <fmt/format.h>

#include "view/check.h"
#include "view/check_number.h"
#include "view/json.h"

namespace stacktide {
namespace {

constexpr std::string_view kSchemaUri =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
constexpr std::string_view kBase = "SRCROOT";

std::string uri_text(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Json message(std::string text) { return {{"text", std::move(text)}}; }

Json physical(const CheckPlace& place) {
  Json artifact;
  if (place.file.starts_with('/')) {
    artifact["uri"] = "file://" + uri_text(place.file);
  } else {
    artifact["uri"] = uri_text(place.file);
    artifact["uriBaseId"] = kBase;
  }
  Json json = {{"artifactLocation", std::move(artifact)}};
  if (place.line != 0) json["region"] = {{"startLine", place.line}};
  return json;
}

Json logical(const std::string& function) { return Json::array({{{"fullyQualifiedName", function}, {"kind", "function"}}}); }

Json result_of(const CheckReport& report, const RuleResult& result, std::size_t index, const Culprit* culprit,
               const std::string& root) {
  const auto& rule = result.rule;
  const auto unit = info_of(rule.metric).unit;
  auto text = fmt::format("{}: {}", rule.name, result_text(result));
  if (culprit != nullptr) text += fmt::format("; {}", culprit_text(result, *culprit));
  Json location = {{"physicalLocation", physical(place_of_result(report, result, culprit, root))}};
  if (culprit != nullptr && !culprit->place.function.empty())
    location["logicalLocations"] = logical(culprit->place.function);
  Json json = {{"ruleId", rule.name},
               {"ruleIndex", index},
               {"level", rule.warning ? "warning" : "error"},
               {"message", message(std::move(text))},
               {"locations", Json::array({std::move(location)})}};
  if (culprit != nullptr && !culprit->caller.file.empty()) {
    const bool waits = rule.metric == Metric::live_at_exit || rule.metric == Metric::deadlock;
    json["relatedLocations"] = Json::array({{{"id", 0},
                                             {"message", message(waits ? "created here" : "called from here")},
                                             {"physicalLocation", physical(place_in(root, culprit->caller))},
                                             {"logicalLocations", logical(culprit->caller.function)}}});
  }
  Json properties = {
      {"metric", info_of(rule.metric).name}, {"value", check_number(result.value)}, {"limit", check_number(result.limit)}};
  if (result.baseline) properties["baseline"] = check_number(*result.baseline);
  if (culprit != nullptr) {
    properties["culpritValue"] = check_number(culprit->amount);
    properties["entry"] = culprit->entry;
    properties["goroutines"] = culprit->goroutines;
  }
  if (unit == Unit::bytes) properties["unit"] = "bytes";
  if (unit == Unit::nanoseconds) properties["unit"] = "nanoseconds";
  if (unit == Unit::percent) properties["unit"] = "percent";
  json["properties"] = std::move(properties);
  return json;
}

Json rule_of(const Rule& rule) {
  const auto& metric = info_of(rule.metric);
  return {{"id", rule.name},
          {"shortDescription", message(std::string(metric.means))},
          {"fullDescription", message(std::string(metric.computed))},
          {"help", message(std::string(metric.cure))},
          {"defaultConfiguration", {{"level", rule.warning ? "warning" : "error"}}},
          {"properties", {{"metric", metric.name}}}};
}

}  // namespace

std::string check_sarif(const CheckReport& report, const std::string& root, std::string_view version) {
  Json rules = Json::array();
  Json results = Json::array();
  for (const auto& result : report.results) {
    const auto index = rules.size();
    rules.push_back(rule_of(result.rule));
    if (result.verdict != Verdict::fails) continue;
    if (result.culprits.empty()) results.push_back(result_of(report, result, index, nullptr, root));
    for (const auto& culprit : result.culprits) results.push_back(result_of(report, result, index, &culprit, root));
  }
  Json notifications = Json::array();
  for (const auto& line : report.trace.incomplete)
    notifications.push_back({{"level", "warning"}, {"message", message(line)}});
  for (const auto& line : report.notes) notifications.push_back({{"level", "note"}, {"message", message(line)}});
  const Json run = {
      {"tool", {{"driver", {{"name", "stacktide"}, {"version", version}, {"rules", std::move(rules)}}}}},
      {"invocations",
       Json::array({{{"executionSuccessful", true}, {"toolExecutionNotifications", std::move(notifications)}}})},
      {"originalUriBaseIds",
       {{kBase, {{"uri", fmt::format("file://{}{}", uri_text(root), root.ends_with('/') ? "" : "/")}}}}},
      {"results", std::move(results)}};
  const Json document = {{"$schema", kSchemaUri}, {"version", "2.1.0"}, {"runs", Json::array({run})}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace stacktide
