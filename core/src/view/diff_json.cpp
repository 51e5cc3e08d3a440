// JSON of `diff`: "stacktide-diff/1". All groups that changed and all stacks that grew up to --limit; counts are over all.
#include <algorithm>
#include <span>

#include "view/diff.h"
#include "view/json.h"

namespace stacktide {
namespace {

constexpr std::string_view kDiffSchema = "stacktide-diff/1";

Json to_json(const MomentPlace& place) { return {{"function", place.function}, {"file", place.file}, {"line", place.line}}; }

Json to_json(const Moment& moment) {
  return {{"source", moment.source},      {"kind", moment_kind_name(moment.kind)}, {"pid", moment.pid},
          {"goroutines", moment.count()}, {"stack_bytes", moment.stack_bytes},     {"problems", moment.problems}};
}

Json to_json(const TraceNumbers& numbers) {
  return {{"spawned", numbers.spawned},
          {"exited", numbers.exited},
          {"grows", numbers.grows},
          {"bytes_copied", numbers.bytes_copied},
          {"largest", numbers.largest}};
}

Json group_json(const MomentGroup& group) {
  auto creators = Json::array();
  for (const auto& creator : group.creators) {
    auto json = to_json(creator.place);
    json["count"] = creator.count;
    creators.push_back(std::move(json));
  }
  auto frames = Json::array();
  for (const auto& frame : group.frames) frames.push_back(to_json(frame));
  auto json = Json{{"state", group.state}};
  json.update(to_json(group.place));
  json["entry"] = group.entry;
  json["created_by"] = std::move(creators);
  json["frames"] = std::move(frames);
  return json;
}

Json change_json(const GroupChange& change, bool trace) {
  Json json = {{"what", change.what()},
               {"change", change.change()},
               {"old", change.old_count()},
               {"new", change.new_count()},
               {"stack_change", change.stack_change()}};
  if (trace) {
    json["old_trace"] = to_json(change.old_trace());
    json["new_trace"] = to_json(change.new_trace());
  }
  json.update(group_json(change.shown()));
  return json;
}

}  // namespace

std::string diff_json(const DiffModel& model) {
  const auto& diff = model.diff;
  const auto first = [&](const auto& rows) {
    return std::span(rows).first(model.limit == 0 ? rows.size() : std::min(model.limit, rows.size()));
  };
  Json json = {{"schema", kDiffSchema},
               {"old", to_json(model.before)},
               {"new", to_json(model.after)},
               {"grouped_by", grouping_name(diff.grouping)},
               {"same_process", diff.same_process}};
  auto& groups = json["groups"] = Json::array();
  for (const auto& change : first(diff.changes))
    groups.push_back(change_json(change, model.after.kind == MomentKind::trace));
  auto& grown = json["grown_stacks"] = Json::array();
  for (const auto& growth : first(diff.grown)) {
    grown.push_back({{"id", growth.id},
                     {"old_size", growth.old_size},
                     {"new_size", growth.new_size},
                     {"function", growth.group->place.function},
                     {"file", growth.group->place.file},
                     {"line", growth.group->place.line},
                     {"entry", growth.group->entry},
                     {"state", growth.group->state}});
  }
  auto& findings = json["findings"] = Json::array();
  for (const auto& finding : diff.findings) {
    findings.push_back({{"limit", finding.limit},
                        {"allowed", finding.allowed},
                        {"value", finding.value},
                        {"group_change", finding.group_change},
                        {"group", finding.group == nullptr ? Json(nullptr) : group_json(*finding.group)},
                        {"text", finding_text(finding)}});
  }
  json["counts"] = {
      {"groups_changed", diff.changes.size()}, {"groups_unchanged", diff.unchanged}, {"grown_stacks", diff.grown.size()}};
  json["notes"] = model.notes;
  return dump(json);
}

}  // namespace stacktide
