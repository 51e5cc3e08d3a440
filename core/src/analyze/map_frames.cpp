#include "analyze/map_frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace stacktide {
namespace {

constexpr std::int64_t kWord = 8;

bool is_kept(unsigned dwarf) {
  constexpr std::array<unsigned, STACKTIDE_MAP_REGISTER_COUNT> kKept = STACKTIDE_MAP_REGISTERS;
  return std::ranges::find(kKept, dwarf) != kKept.end();
}

bool saves(const MapSite& site, unsigned dwarf) {
  constexpr std::array<unsigned, STACKTIDE_MAP_REGISTER_COUNT> kKept = STACKTIDE_MAP_REGISTERS;
  for (std::size_t i = 0; i < kKept.size(); ++i) {
    if (kKept[i] == dwarf) return site.saved[i].has_value();
  }
  return false;
}

bool overlaps(const MapVariable& variable, std::int64_t offset, std::int64_t size) {
  return !variable.reg && offset < std::int64_t{variable.offset} + variable.size && variable.offset < offset + size;
}

}  // namespace

RegisterMeaning register_meaning(std::span<const MapFrame> frames, std::size_t index, unsigned dwarf) {
  RegisterMeaning meaning;
  for (std::size_t i = index; i < frames.size() && frames[i].mapped(); ++i) {
    const auto& site = *frames[i].site;
    const auto holder = std::ranges::find_if(site.variables, [&](const MapVariable& one) { return one.reg == dwarf; });
    if (holder != site.variables.end()) meaning.variable = &*holder;
    meaning.kind = dwarf < site.registers.size() ? site.registers[dwarf] : WordKind::unknown;
    if (meaning.kind != WordKind::unknown || meaning.variable != nullptr) {
      meaning.frame = i;
      return meaning;
    }
    // Of a frame that aligns the stack it is not known what it saved where.
    if (site.cfa_rule == STACKTIDE_CFA_AT_RBP) return meaning;
    // The caller's value is elsewhere from here on, or the register is none that calls keep.
    if (saves(site, dwarf) || !is_kept(dwarf)) return meaning;
  }
  return meaning;
}

namespace {

// Of a site that lies about them, variables may lie anywhere, and each over all of the frame.
constexpr std::size_t kMaxNamedWords = 1U << 22;
constexpr std::size_t kMaxWordVariables = 64;

void add_variables(const MapSite& site, std::vector<MapWord>& words) {
  std::size_t left = kMaxNamedWords;
  for (const auto& variable : site.variables) {
    const std::int64_t lo = variable.offset;
    const auto hi = std::min<std::int64_t>(lo + variable.size, 0);
    if (variable.reg || hi <= lo) continue;
    const auto end = std::min<std::uint64_t>(static_cast<std::uint64_t>(-lo - 1) / kWord + 1, words.size());
    for (auto n = static_cast<std::uint64_t>(-hi) / kWord; n < end; ++n) {
      if (left-- == 0) return;
      if (words[n].variables.size() < kMaxWordVariables) words[n].variables.push_back(&variable);
    }
  }
}

MapWord word_of(const MapSite& site, std::uint64_t n) {
  MapWord word;
  word.offset = -kWord * (static_cast<std::int64_t>(n) + 1);
  word.kind = site.kind(n);
  word.return_address = n == 0;
  word.saved = site.saved_register(n);
  return word;
}

}  // namespace

std::vector<MapWord> words_of(const MapSite& site) {
  std::uint64_t count = 0;
  if (site.cfa_rule == STACKTIDE_CFA_RSP && site.cfa_offset > 0) {
    count = static_cast<std::uint64_t>(site.cfa_offset / kWord);
  } else {
    for (const auto& run : site.runs) count += run.count;
    for (const auto& word : site.saved) count = std::max<std::uint64_t>(count, word ? *word + 1 : 0);
    for (const auto& variable : site.variables) {
      if (!variable.reg && variable.offset < 0)
        count = std::max(count, (static_cast<std::uint64_t>(-std::int64_t{variable.offset}) + kWord - 1) / kWord);
    }
  }
  std::vector<MapWord> words;
  for (std::uint64_t n = 0; n < std::min<std::uint64_t>(count, kMaxFrameWords); ++n) words.push_back(word_of(site, n));
  add_variables(site, words);
  return words;
}

std::vector<MapWord> words_of(const MapFrame& frame, Memory& memory) {
  std::vector<MapWord> words;
  if (!frame.mapped() || frame.at.cfa <= frame.at.sp) return words;
  const auto& site = *frame.site;
  const auto count = std::min<std::uint64_t>((frame.at.cfa - frame.at.sp) / kWord, kMaxFrameWords);
  std::vector<std::byte> bytes(count * kWord);
  // All at once where possible; word by word around a hole.
  const bool whole = memory.read(frame.at.cfa - bytes.size(), bytes).has_value();
  for (std::uint64_t n = 0; n < count; ++n) {
    auto word = word_of(site, n);
    word.address = frame.at.cfa + static_cast<std::uint64_t>(word.offset);
    if (whole) {
      std::uint64_t value = 0;
      std::memcpy(&value, bytes.data() + bytes.size() - (n + 1) * kWord, sizeof value);
      word.value = value;
    } else if (const auto read = memory.read_value<std::uint64_t>(word.address)) {
      word.value = *read;
    }
    words.push_back(std::move(word));
  }
  add_variables(site, words);
  return words;
}

const MapVariable* variable_at(const MapSite& site, std::int64_t offset) {
  for (const auto& variable : site.variables) {
    if (overlaps(variable, offset, 1)) return &variable;
  }
  return nullptr;
}

std::string variable_text(const MapVariable& variable, std::int64_t offset) {
  const auto inside = offset - variable.offset;
  return inside == 0 ? variable.name : fmt::format("{}{:+}", variable.name, inside);
}

std::string variables_text(const MapWord& word) {
  constexpr std::size_t kShown = 4;
  std::string text;
  for (std::size_t i = 0; i < std::min(word.variables.size(), kShown); ++i) {
    const auto& variable = *word.variables[i];
    if (!text.empty()) text += ", ";
    text += variable_text(variable, std::max<std::int64_t>(word.offset, variable.offset));
  }
  if (word.variables.size() > kShown) text += fmt::format(", {} more", word.variables.size() - kShown);
  return text;
}

}  // namespace stacktide
