// Frames with their stack maps: what each word and each kept register of a frame is.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stacktide/core/snapshot.h"
#include "walk/stack_maps.h"

namespace stacktide {

struct MapFrame {
  std::size_t level = 0;        // as bt numbers it; of a frame with inlined levels the outermost one's
  std::size_t first_level = 0;  // the innermost one's
  Frame at;                     // of `level`
  Registers registers;          // as they were in this frame
  std::optional<MapSite> site;  // nothing: no record of its pc

  bool mapped() const { return site && site->known; }
  // Its bytes, [sp, cfa).
  bool holds(Address address) const { return address >= at.sp && address < at.cfa; }
};

// What a kept register holds in frame `index`: known there, or, when no frame in between saves it, further out.
struct RegisterMeaning {
  WordKind kind = WordKind::unknown;
  std::optional<std::size_t> frame;       // index of the frame that knows
  const MapVariable* variable = nullptr;  // that it holds there
};
RegisterMeaning register_meaning(std::span<const MapFrame> frames, std::size_t index, unsigned dwarf);

struct MapWord {
  std::int64_t offset = 0;  // from the CFA; negative
  Address address = 0;
  WordKind kind = WordKind::unknown;
  bool return_address = false;
  std::optional<unsigned> saved;              // the caller's register that it holds, by DWARF number
  std::vector<const MapVariable*> variables;  // with bytes in it, innermost scope first
  std::optional<std::uint64_t> value;         // nothing: not readable
};
inline constexpr std::size_t kMaxFrameWords = 1U << 20;
// The words of a frame from the CFA down, at most kMaxFrameWords.
std::vector<MapWord> words_of(const MapFrame& frame, Memory& memory);

// The same of a site alone, without values and addresses: as many as its map speaks of.
std::vector<MapWord> words_of(const MapSite& site);

// The innermost variable of a site that has a byte at this offset from the CFA.
const MapVariable* variable_at(const MapSite& site, std::int64_t offset);
// "values", "values+24": the variable and how far inside it an offset from the CFA is.
std::string variable_text(const MapVariable& variable, std::int64_t offset);
// "n", "a, b+8": the variables of a word.
std::string variables_text(const MapWord& word);

}  // namespace stacktide
