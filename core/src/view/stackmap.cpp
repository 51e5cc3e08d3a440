#include "view/stackmap.h"

#include <fmt/format.h>

#include <algorithm>

#include "analyze/frames.h"
#include "view/views.h"

namespace stacktide {
namespace {

// So many equal words in a row are still shown one by one.
constexpr std::size_t kShortRun = 8;

std::string kind_text(const PicturedWord& pictured, const std::vector<MapFrame>& frames) {
  const auto& word = pictured.word;
  if (word.return_address) return "return address";
  if (word.saved) return saved_text(*word.saved, pictured.caller, frames);
  return word_kind_name(word.kind);
}

std::string type_text(const MapWord& word) { return word.variables.empty() ? "" : short_name(word.variables.front()->type); }

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
  const auto* const first_a = a.word.variables.empty() ? nullptr : a.word.variables.front();
  const auto* const first_b = b.word.variables.empty() ? nullptr : b.word.variables.front();
  return plain(a) && plain(b) && a.word.kind == b.word.kind && first_a == first_b &&
         a.word.value.has_value() == b.word.value.has_value();
}

std::string frame_head(const MapFrame& frame) {
  auto head = frame.first_level == frame.level ? fmt::format("#{}", frame.level)
                                               : fmt::format("#{}-{}", frame.first_level, frame.level);
  head += " " + (frame.at.function.empty() ? hex(frame.at.pc) : short_name(frame.at.function));
  if (!frame.at.file.empty()) head += " at " + file_line(frame.at.file, frame.at.line);
  if (!frame.mapped()) {
    const bool interrupted = frame.at.exact_pc && !frame.at.runtime;
    const auto* why = interrupted ? "no record: it was interrupted here, and records are of calls" : "no record";
    return head + fmt::format(": {}, {}", plural(frame.at.size, "byte"), why);
  }
  const auto& site = *frame.site;
  head += fmt::format(": CFA {} = {}, {}", hex(frame.at.cfa), site.cfa_text(), plural(frame.at.size, "byte"));
  if (site.morestack) head += ", in its stack check";
  if (site.pinned) head += ", pinned";
  return head;
}

std::string frame_text(const StackmapModel& model, const PicturedFrame& pictured, const Style& style) {
  const auto& frame = model.frames[pictured.index];
  auto out = bold(frame_head(frame), style) + "\n";
  Table table;
  for (int i = 0; i < 6; ++i) table.column("", Align::left);
  const auto& words = pictured.words;
  for (std::size_t i = 0; i < words.size();) {
    std::size_t end = i + 1;
    while (!model.every_word && end < words.size() && alike(words[i], words[end])) ++end;
    if (end - i <= kShortRun) end = i + 1;
    const auto& word = words[i].word;
    if (end - i == 1) {
      table.row({fmt::format("  CFA{:+}", word.offset), kind_text(words[i], model.frames), variables_text(word),
                 type_text(word), value_text(word.value),
                 place_text(words[i].place, word.saved ? words[i].caller.kind : word.kind, model.goroutine.id)});
    } else {
      table.row({fmt::format("  CFA{:+}..{:+}", word.offset, words[end - 1].word.offset), word_kind_name(word.kind),
                 word.variables.empty() ? "" : word.variables.front()->name, type_text(word), plural(end - i, "word"), ""});
    }
    i = end;
  }
  for (const auto& one : pictured.registers) {
    table.row({fmt::format("  {}", map_register_name(one.dwarf)), word_kind_name(one.kind),
               one.variable == nullptr ? "" : one.variable->name,
               one.variable == nullptr ? "" : short_name(one.variable->type), one.value ? hex(*one.value) : "not known",
               place_text(one.place, one.kind, model.goroutine.id)});
  }
  if (!words.empty() || !pictured.registers.empty()) out += table.render(style);
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
          {"words", std::move(words)},
          {"registers", std::move(registers)}};
}

}  // namespace

std::string saved_text(unsigned dwarf, const RegisterMeaning& caller, const std::vector<MapFrame>& frames) {
  auto text = fmt::format("saved {}: {}", map_register_name(dwarf), word_kind_name(caller.kind));
  if (!caller.frame) return text;
  const auto& frame = frames[*caller.frame];
  text +=
      fmt::format(" in #{} {}", frame.level, frame.at.function.empty() ? hex(frame.at.pc) : short_name(frame.at.function));
  return caller.variable == nullptr ? text : text + fmt::format(" ({})", caller.variable->name);
}

std::string stackmap_text(const StackmapModel& model, const Style& style) {
  auto out = goroutine_header(model.goroutine) + "\n";
  for (const auto& pictured : model.pictured) out += frame_text(model, pictured, style);
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
