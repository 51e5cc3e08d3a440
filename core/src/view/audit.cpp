#include "view/audit.h"

#include <fmt/format.h>

#include <vector>

#include "analyze/event_text.h"
#include "view/json.h"
#include "view/text.h"

namespace stacktide {
namespace {

std::string line_of(const AuditEntry& entry) {
  std::string line = entry.note ? "note: " : "finding: ";
  if (entry.goroutine != 0) line += fmt::format("goroutine {}: ", entry.goroutine);
  if (entry.level)
    line += fmt::format("#{} {}: ", *entry.level, place_of(short_name(entry.function), entry.file, entry.line, 0));
  return line + entry.text + "\n";
}

std::string summary(const Audit& audit) {
  auto text = fmt::format("{} audited, {}, {}, {}", plural(audit.goroutines, "goroutine"), plural(audit.frames, "frame"),
                          plural(audit.findings(), "finding"), plural(audit.notes(), "note"));
  if (audit.skipped != 0)
    text += fmt::format("; {} could not be audited: registers not known", plural(audit.skipped, "goroutine"));
  return text + "\n";
}

Json entry_json(const AuditEntry& entry) {
  return {{"severity", entry.note ? "note" : "finding"},
          {"kind", entry.kind},
          {"goroutine", entry.goroutine == 0 ? Json(nullptr) : Json(entry.goroutine)},
          {"level", entry.level ? Json(*entry.level) : Json(nullptr)},
          {"function", entry.function},
          {"file", entry.file},
          {"line", entry.line},
          {"variable", entry.variable},
          {"address", entry.address == 0 ? Json(nullptr) : Json(hex(entry.address))},
          {"value", entry.value ? Json(hex(*entry.value)) : Json(nullptr)},
          {"text", entry.text},
          {"place", entry.place ? to_json(*entry.place) : Json(nullptr)}};
}

}  // namespace

std::string audit_text(const Audit& audit, std::size_t shown) {
  std::string out;
  std::size_t lines = 0;
  for (const bool note : {false, true}) {
    for (const auto& entry : audit.entries) {
      if (entry.note == note && lines++ < shown) out += line_of(entry);
    }
  }
  if (lines > shown) out += fmt::format("{} more: --all\n", grouped(lines - shown));
  return out + summary(audit);
}

std::string audit_json(const Snapshot& snapshot, const Audit& audit) {
  auto json = json_head(snapshot);
  auto& findings = json["findings"] = Json::array();
  for (const auto& entry : audit.entries) {
    if (!entry.note) findings.push_back(entry_json(entry));
  }
  auto& notes = json["notes"] = Json::array();
  for (const auto& entry : audit.entries) {
    if (entry.note) notes.push_back(entry_json(entry));
  }
  json["counts"] = {
      {"goroutines", {{"total", snapshot.goroutine_counts.total}, {"read", audit.goroutines}, {"skipped", audit.skipped}}},
      {"frames", audit.frames},
      {"recorded", audit.recorded},
      {"words", audit.words},
      {"data_words", audit.data_words},
      {"findings", audit.findings()},
      {"notes", audit.notes()}};
  json["partial"] = audit.partial;
  json["damage"] = snapshot.damage;
  return dump(json);
}

}  // namespace stacktide
