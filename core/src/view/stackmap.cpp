#include "view/stackmap.h"

#include <fmt/format.h>

#include <algorithm>

#include "analyze/frames.h"
#include "view/views.h"

namespace stacktide {
namespace {

// So many equal words in a row are still shown one by one.
constexpr std::size_t kShortRun = 8;

std::string kind_text(const MapWord& word) {
  if (word.return_address) return "return address";
  return word.saved ? fmt::format("saved {}", map_register_name(*word.saved)) : word_kind_name(word.kind);
}

std::string type_text(const MapVariable* variable) { return variable == nullptr ? "" : short_name(variable->type); }

const MapVariable* first_variable(const MapWord& word) { return word.variables.empty() ? nullptr : word.variables.front(); }

// "pointer in #5 main (n)": what a register holds, and where that is known.
std::string meaning_text(const RegisterMeaning& meaning, const std::vector<MapFrame>& frames) {
  std::string text = word_kind_name(meaning.kind);
  if (!meaning.frame) return text;
  const auto& frame = frames[*meaning.frame];
  text +=
      fmt::format(" in #{} {}", frame.level, frame.at.function.empty() ? hex(frame.at.pc) : short_name(frame.at.function));
  return meaning.variable == nullptr ? text : text + fmt::format(" ({})", meaning.variable->name);
}

// The end of a row. Types, names of functions and places can be long; what stands before them is not, and stays in columns.
std::string rest_of_row(std::string what, const std::string& place) {
  if (!what.empty() && !place.empty()) what += "  ";
  return what + place;
}

std::string value_text(const std::optional<std::uint64_t>& value) { return value ? hex(*value) : "not readable"; }

std::string place_text(const std::optional<Place>& place, WordKind kind, std::uint64_t self) {
  if (!place) return "";
  const auto text = place_in_short(*place, self);
  // A scalar is none that points; it only looks so, and scanning would have changed it.
  if (kind == WordKind::scalar) return "looks like " + text;
  const bool another = place->kind == PlaceKind::stack && place->goroutine != self;
  // An unknown word may hold anything; only what is a pointer is out of place there.
  const bool flagged = kind == WordKind::pointer && (another || place->stale());
  return fmt::format("{}-> {}", flagged ? "! " : "", text);
}

// May words a and b, one below the other, share a row?
bool alike(const PicturedWord& a, const PicturedWord& b) {
  const auto plain = [](const PicturedWord& one) {
    return !one.word.return_address && !one.word.saved && !one.place && one.word.kind != WordKind::pointer;
  };
  return plain(a) && plain(b) && a.word.kind == b.word.kind && first_variable(a.word) == first_variable(b.word) &&
         a.word.value.has_value() == b.word.value.has_value();
}

// Its registers are a thread's, or a signal's: not those of a call. One that waits is never interrupted.
bool interrupted(const Goroutine& goroutine, const MapFrame& frame) {
  return frame.at.exact_pc && !frame.at.runtime && (goroutine.registers_live || frame.first_level != 0);
}

std::string frame_head(const Goroutine& goroutine, const MapFrame& frame, const PinnedBy& pinned_by) {
  auto head = frame.first_level == frame.level ? fmt::format("#{}", frame.level)
                                               : fmt::format("#{}-{}", frame.first_level, frame.level);
  head += " " + (frame.at.function.empty() ? hex(frame.at.pc) : short_name(frame.at.function));
  if (!frame.at.file.empty()) head += " at " + file_line(frame.at.file, frame.at.line);
  if (!frame.mapped()) {
    const auto* why =
        interrupted(goroutine, frame) ? "no record: it was interrupted here, and records are of calls" : "no record";
    return head + fmt::format(": {}, {}", plural(frame.at.size, "byte"), why);
  }
  const auto& site = *frame.site;
  head += fmt::format(": CFA {} = {}, {}", hex(frame.at.cfa), site.cfa_text(), plural(frame.at.size, "byte"));
  if (site.morestack) head += ", in its stack check";
  if (site.pinned) head += ", " + pinned_text(pinned_by);
  return head;
}

std::vector<std::string> word_row(const StackmapModel& model, const PicturedWord& pictured) {
  const auto& word = pictured.word;
  const auto place = place_text(pictured.place, word.saved ? pictured.caller.kind : word.kind, model.goroutine.id);
  const auto what = word.saved ? meaning_text(pictured.caller, model.frames) : type_text(first_variable(word));
  return {fmt::format("  CFA{:+}", word.offset), kind_text(word), value_text(word.value), variables_text(word),
          rest_of_row(what, place)};
}

std::vector<std::string> run_row(const MapWord& first, const MapWord& last, std::size_t count) {
  const auto* variable = first_variable(first);
  return {fmt::format("  CFA{:+}..{:+}", first.offset, last.offset), word_kind_name(first.kind), plural(count, "word"),
          variable == nullptr ? "" : variable->name, type_text(variable)};
}

// A frame without variables has no column for them.
std::string table_text(std::vector<std::vector<std::string>> rows, const Style& style) {
  constexpr std::size_t kVariable = 3;
  const bool named = std::ranges::any_of(rows, [](const auto& row) { return !row[kVariable].empty(); });
  Table table;
  for (int i = 0; i < (named ? 5 : 4); ++i) table.column("", Align::left);
  for (auto& row : rows) {
    if (!named) row.erase(row.begin() + kVariable);
    table.row(std::move(row));
  }
  return table.render(style);
}

std::string frame_text(const StackmapModel& model, const PicturedFrame& pictured, const Style& style) {
  const auto& frame = model.frames[pictured.index];
  auto out = bold(frame_head(model.goroutine, frame, pictured.pinned_by), style) + "\n";
  std::vector<std::vector<std::string>> rows;
  const auto& words = pictured.words;
  for (std::size_t i = 0; i < words.size();) {
    std::size_t end = i + 1;
    while (!model.every_word && end < words.size() && alike(words[i], words[end])) ++end;
    if (end - i <= kShortRun) end = i + 1;
    rows.push_back(end - i == 1 ? word_row(model, words[i]) : run_row(words[i].word, words[end - 1].word, end - i));
    i = end;
  }
  for (const auto& one : pictured.registers) {
    rows.push_back({fmt::format("  {}", map_register_name(one.dwarf)), word_kind_name(one.kind),
                    one.value ? hex(*one.value) : "not known", one.variable == nullptr ? "" : one.variable->name,
                    rest_of_row(type_text(one.variable), place_text(one.place, one.kind, model.goroutine.id))});
  }
  if (!rows.empty()) out += table_text(std::move(rows), style);
  const auto whole = frame.at.size / 8;
  if (frame.mapped() && words.size() < whole) out += fmt::format("  and {} below\n", plural(whole - words.size(), "word"));
  return out;
}

Json optional_place(const std::optional<Place>& place) { return place ? to_json(*place) : Json(nullptr); }
Json optional_hex(const std::optional<std::uint64_t>& value) { return value ? Json(hex(*value)) : Json(nullptr); }

Json meaning_json(const RegisterMeaning& meaning, const std::vector<MapFrame>& frames) {
  return {{"kind", word_kind_name(meaning.kind)},
          {"level", meaning.frame ? Json(frames[*meaning.frame].level) : Json(nullptr)},
          {"variable", meaning.variable == nullptr ? "" : meaning.variable->name},
          {"type", meaning.variable == nullptr ? "" : meaning.variable->type}};
}

Json frame_json(const StackmapModel& model, const PicturedFrame& pictured) {
  const auto& frame = model.frames[pictured.index];
  const auto* site = frame.mapped() ? &*frame.site : nullptr;
  auto words = Json::array();
  for (const auto& one : pictured.words) {
    const auto& word = one.word;
    words.push_back({{"offset", word.offset},
                     {"address", hex(word.address)},
                     {"kind", word_kind_name(word.kind)},
                     {"return_address", word.return_address},
                     {"saved", word.saved ? Json(map_register_name(*word.saved)) : Json(nullptr)},
                     {"caller", word.saved ? meaning_json(one.caller, model.frames) : Json(nullptr)},
                     {"variable", variables_text(word)},
                     {"type", word.variables.empty() ? "" : word.variables.front()->type},
                     {"value", optional_hex(word.value)},
                     {"place", optional_place(one.place)}});
  }
  auto registers = Json::array();
  for (const auto& one : pictured.registers) {
    registers.push_back({{"register", map_register_name(one.dwarf)},
                         {"kind", word_kind_name(one.kind)},
                         {"variable", one.variable == nullptr ? "" : one.variable->name},
                         {"type", one.variable == nullptr ? "" : one.variable->type},
                         {"value", optional_hex(one.value)},
                         {"place", optional_place(one.place)}});
  }
  return {{"level", frame.level},
          {"first_level", frame.first_level},
          {"function", frame.at.function},
          {"file", frame.at.file},
          {"line", frame.at.line},
          {"pc", hex(frame.at.pc)},
          {"sp", hex(frame.at.sp)},
          {"cfa", hex(frame.at.cfa)},
          {"size", frame.at.size},
          {"recorded", site != nullptr},
          {"cfa_rule", site == nullptr ? Json(nullptr) : Json(site->cfa_text())},
          {"stack_check", site != nullptr && site->morestack},
          {"pinned", site != nullptr && site->pinned},
          {"pins", pins_json(pictured.pinned_by)},
          {"words", std::move(words)},
          {"registers", std::move(registers)}};
}

}  // namespace

std::string saved_text(unsigned dwarf, const RegisterMeaning& caller, const std::vector<MapFrame>& frames) {
  return fmt::format("saved {}: {}", map_register_name(dwarf), meaning_text(caller, frames));
}

std::string pinned_text(const PinnedBy& by) {
  if (by.pins.empty()) return by.named ? "pinned: not MOVABLE" : "pinned";
  const auto& [name, type] = by.pins.front();
  auto text = fmt::format("pinned by {}{}{}", type, name.empty() ? "" : " ", name);
  return by.pins.size() == 1 ? text : text + fmt::format(" and {} more", by.pins.size() - 1);
}

Json pins_json(const PinnedBy& by) {
  auto pins = Json::array();
  for (const auto& pin : by.pins) pins.push_back({{"variable", pin.name}, {"type", pin.type}});
  return pins;
}

std::string stackmap_text(const StackmapModel& model, const Style& style) {
  auto out = goroutine_header(model.goroutine) + "\n";
  std::optional<std::size_t> segment;
  for (const auto& pictured : model.pictured) {
    const auto now = model.frames[pictured.index].at.segment;
    if (segment && now && *now != *segment) out += fmt::format("--- segment {}\n", *now);
    if (now) segment = now;
    out += frame_text(model, pictured, style);
  }
  if (!model.complete) out += fmt::format("(stopped: {})\n", model.stop_reason);
  return out;
}

Json to_json(const StackmapModel& model) {
  auto frames = Json::array();
  for (const auto& pictured : model.pictured) frames.push_back(frame_json(model, pictured));
  return {{"id", model.goroutine.id},
          {"frames", std::move(frames)},
          {"complete", model.complete},
          {"stop_reason", model.stop_reason}};
}

}  // namespace stacktide
