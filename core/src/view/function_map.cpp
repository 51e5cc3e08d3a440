// stackmap of a function: each of its sites with what its words and registers are, without values.
#include <fmt/format.h>

#include <algorithm>

#include "analyze/frames.h"
#include "view/stackmap.h"

namespace stacktide {
namespace {

struct Run {
  const MapWord* first = nullptr;
  std::int64_t last = 0;  // offset of its last word
  std::size_t count = 0;
};

bool same_run(const MapWord& a, const MapWord& b) {
  if (a.return_address || a.saved || b.saved || a.kind != b.kind) return false;
  const auto* const first_a = a.variables.empty() ? nullptr : a.variables.front();
  const auto* const first_b = b.variables.empty() ? nullptr : b.variables.front();
  return first_a == first_b;
}

std::vector<Run> runs_of(const std::vector<MapWord>& words) {
  std::vector<Run> runs;
  for (const auto& word : words) {
    if (runs.empty() || !same_run(*runs.back().first, word)) runs.push_back({&word, word.offset, 0});
    runs.back().last = word.offset;
    ++runs.back().count;
  }
  return runs;
}

std::string kind_of(const MapWord& word) {
  if (word.return_address) return "return address";
  return word.saved ? fmt::format("saved {}", map_register_name(*word.saved)) : word_kind_name(word.kind);
}

std::string variable_of(const Run& run) {
  if (run.first->variables.empty()) return "";
  return run.count == 1 ? variables_text(*run.first) : run.first->variables.front()->name;
}

std::string type_of(const MapWord& word) { return word.variables.empty() ? "" : short_name(word.variables.front()->type); }

std::string site_head(const FunctionMap& function, std::size_t i) {
  const auto& site = function.sites[i];
  const auto& place = function.places[i];
  auto head = fmt::format("  {} <+{}>", hex(site.pc), site.pc - function.function.start);
  if (!place.file.empty()) head += " at " + file_line(place.file, place.line);
  if (!site.known) return head + ": no record of the frame, which must not move";
  head += fmt::format(": CFA = {}", site.cfa_text());
  if (site.morestack) head += ", stack check";
  if (site.pinned) head += ", pinned";
  return head;
}

std::string registers_text(const MapSite& site) {
  std::string text;
  for (unsigned dwarf = 0; dwarf < kRegisterCount; ++dwarf) {
    std::string what = site.registers[dwarf] == WordKind::unknown ? "" : word_kind_name(site.registers[dwarf]);
    for (const auto& variable : site.variables) {
      if (variable.reg != dwarf) continue;
      if (what.empty()) what = word_kind_name(WordKind::unknown);
      what += fmt::format(" {} ({})", variable.name, short_name(variable.type));
      break;
    }
    if (!what.empty()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", map_register_name(dwarf), what);
  }
  return text;
}

}  // namespace

std::string function_map_text(const FunctionMap& function, const Style& style) {
  const auto name = function.function.name.empty() ? hex(function.function.start) : short_name(function.function.name);
  auto out = fmt::format("{} in {}: {}\n", bold(name, style), base_name(function.function.module),
                         plural(function.sites.size(), "site"));
  const auto& by = function.pinned_by;
  for (const auto& pin : by.pins) out += fmt::format("  {}\n", pinned_text({{pin}, by.named}));
  if (by.pins.empty() && by.named && std::ranges::any_of(function.sites, &MapSite::pinned))
    out += fmt::format("  {}\n", pinned_text(by));
  for (std::size_t i = 0; i < function.sites.size(); ++i) {
    const auto& site = function.sites[i];
    out += site_head(function, i) + "\n";
    if (!site.known) continue;
    const auto words = words_of(site);
    Table table;
    for (int column = 0; column < 5; ++column) table.column("", Align::left);
    for (const auto& run : runs_of(words)) {
      table.row({run.count == 1 ? fmt::format("    CFA{:+}", run.last)
                                : fmt::format("    CFA{:+}..{:+}", run.first->offset, run.last),
                 kind_of(*run.first), run.count == 1 ? "" : plural(run.count, "word"), variable_of(run),
                 type_of(*run.first)});
    }
    if (!words.empty()) out += table.render(style);
    if (const auto registers = registers_text(site); !registers.empty()) out += fmt::format("    {}\n", registers);
  }
  return out;
}

Json to_json(const FunctionMap& function) {
  auto sites = Json::array();
  for (std::size_t i = 0; i < function.sites.size(); ++i) {
    const auto& site = function.sites[i];
    const auto words = words_of(site);
    auto runs = Json::array();
    for (const auto& run : runs_of(words)) {
      runs.push_back({{"offset", run.first->offset},
                      {"count", run.count},
                      {"kind", word_kind_name(run.first->kind)},
                      {"saved", run.first->saved ? Json(map_register_name(*run.first->saved)) : Json(nullptr)},
                      {"variable", variable_of(run)},
                      {"type", run.first->variables.empty() ? "" : run.first->variables.front()->type}});
    }
    auto registers = Json::object();
    for (unsigned dwarf = 0; dwarf < kRegisterCount; ++dwarf) {
      if (site.registers[dwarf] != WordKind::unknown)
        registers[map_register_name(dwarf)] = word_kind_name(site.registers[dwarf]);
    }
    sites.push_back({{"pc", hex(site.pc)},
                     {"offset", site.pc - function.function.start},
                     {"file", function.places[i].file},
                     {"line", function.places[i].line},
                     {"recorded", site.known},
                     {"cfa_rule", site.known ? Json(site.cfa_text()) : Json(nullptr)},
                     {"stack_check", site.morestack},
                     {"pinned", site.pinned},
                     {"words", std::move(runs)},
                     {"registers", std::move(registers)}});
  }
  return {{"function", function.function.name},      {"symbol", function.function.symbol},
          {"address", hex(function.function.start)}, {"module", function.function.module},
          {"pins", pins_json(function.pinned_by)},   {"sites", std::move(sites)}};
}

}  // namespace stacktide
