// stackmap: a goroutine's frames word by word, or the maps of functions without values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analyze/map_frames.h"
#include "analyze/places.h"
#include "stacktide/core/snapshot.h"
#include "symbols/symbolizer.h"
#include "view/json.h"
#include "view/text.h"

namespace stacktide {

struct PicturedWord {
  MapWord word;
  RegisterMeaning caller;      // of a saved register: what it holds in the caller
  std::optional<Place> place;  // what its value points to; nothing when that says nothing
};

struct PicturedRegister {
  unsigned dwarf = 0;
  WordKind kind = WordKind::unknown;
  const MapVariable* variable = nullptr;
  std::optional<std::uint64_t> value;
  std::optional<Place> place;
};

// Why code is pinned: by what it holds, or else, in a program whose maps have names, since it is not MOVABLE.
struct PinnedBy {
  std::vector<MapPin> pins;
  bool named = false;
};

struct PicturedFrame {
  std::size_t index = 0;  // in StackmapModel::frames
  PinnedBy pinned_by;     // of a pinned one
  std::vector<PicturedWord> words;
  std::vector<PicturedRegister> registers;
};

struct StackmapModel {
  const Goroutine& goroutine;
  const std::vector<MapFrame>& frames;  // all of them
  std::vector<PicturedFrame> pictured;  // those to show
  bool complete = false;
  std::string stop_reason;
  bool every_word = false;  // otherwise runs of equal words share a row
};
std::string stackmap_text(const StackmapModel& model, const Style& style);
Json to_json(const StackmapModel& model);

// A function's sites.
struct FunctionMap {
  SymbolAt function;
  std::vector<MapSite> sites;  // by pc
  std::vector<Frame> places;   // one for each site
  PinnedBy pinned_by;
};
std::string function_map_text(const FunctionMap& function, const Style& style);
Json to_json(const FunctionMap& function);

// What is written about a saved register: "saved rbx: scalar in #4 main (n)".
std::string saved_text(unsigned dwarf, const RegisterMeaning& caller, const std::vector<MapFrame>& frames);
// "pinned by std::map<int, int> counts", "pinned: not MOVABLE".
std::string pinned_text(const PinnedBy& by);
Json pins_json(const PinnedBy& by);

}  // namespace stacktide
