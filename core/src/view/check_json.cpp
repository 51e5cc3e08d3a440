// What a check found, in the schema of all other JSON.
#include "view/check.h"
#include "view/check_number.h"
#include "view/json.h"

namespace stacktide {
namespace {

Json optional_number(const std::optional<double>& amount) { return amount ? check_number(*amount) : Json(nullptr); }

Json place_json(const TracePlace& place) {
  if (place.function.empty()) return nullptr;
  Json json = {{"function", place.function}};
  json["file"] = place.file.empty() ? Json(nullptr) : Json(place.file);
  json["line"] = place.line;
  return json;
}

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::holds:
      return "holds";
    case Verdict::fails:
      return "fails";
    case Verdict::nothing:
      return "nothing matches";
  }
  return "";
}

Json culprit_json(const RuleResult& result, const Culprit& culprit) {
  Json json = {{"value", check_number(culprit.amount)}};
  if (result.baseline) json["baseline"] = optional_number(culprit.baseline);
  json["entry"] = culprit.entry.empty() ? Json(nullptr) : Json(culprit.entry);
  json["goroutines"] = culprit.goroutines;
  json["more_goroutines"] = culprit.more_goroutines;
  json["place"] = place_json(culprit.place);
  const bool waits = result.rule.metric == Metric::live_at_exit || result.rule.metric == Metric::deadlock;
  json[waits ? "created_at" : "caller"] = place_json(culprit.caller);
  if (waits) json["wait_reason"] = culprit.waits;
  json["message"] = culprit_text(result, culprit);
  return json;
}

std::string_view unit_name(Unit unit) {
  switch (unit) {
    case Unit::count:
      return "count";
    case Unit::bytes:
      return "bytes";
    case Unit::nanoseconds:
      return "nanoseconds";
    case Unit::percent:
      return "percent";
  }
  return "";
}

Json result_json(const RuleResult& result) {
  const auto& rule = result.rule;
  const auto& metric = info_of(rule.metric);
  Json json = {{"rule", rule.name},
               {"line", rule.at.line},
               {"metric", metric.name},
               {"unit", unit_name(metric.unit)},
               {"level", rule.warning ? "warning" : "error"},
               {"verdict", verdict_name(result.verdict)}};
  for (const auto& [name, filter] :
       {std::pair("entry", &rule.entry), {"label", &rule.label}, {"function", &rule.function}}) {
    if (*filter) json[name] = (*filter)->text;
  }
  if (result.verdict != Verdict::nothing) json["value"] = check_number(result.value);
  json["limit"] = check_number(result.limit);
  if (rule.tolerance) json["tolerance"] = rule.tolerance->text;
  if (result.baseline) json["baseline"] = check_number(*result.baseline);
  json["message"] = result_text(result);
  json["culprits"] = Json::array();
  for (const auto& culprit : result.culprits) json["culprits"].push_back(culprit_json(result, culprit));
  json["more_culprits"] = result.more_culprits;
  return json;
}

}  // namespace

std::string check_json(const CheckReport& report) {
  Json json = {{"schema", kSchema}, {"trace", report.trace.name}, {"rules", report.rules}};
  json["baseline"] = report.baseline.empty() ? Json(nullptr) : Json(report.baseline);
  json["results"] = Json::array();
  for (const auto& result : report.results) json["results"].push_back(result_json(result));
  json["counts"] = {{"total", report.results.size()}, {"failed", report.failed()}, {"warned", report.warned()}};
  json["notes"] = report.notes;
  json["incomplete"] = report.trace.incomplete;
  return dump(json);
}

}  // namespace stacktide
