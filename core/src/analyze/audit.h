// What an audit found, as values.
//
// A finding is something wrong, or that will be when a stack moves. A note is what a person who looks for a fault wants to
// know, though nothing is wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyze/map_frames.h"
#include "analyze/places.h"
#include "stacktide/core/snapshot.h"
#include "walk/map_walk.h"

namespace stacktide {

struct AuditEntry {
  bool note = false;
  std::string kind;             // as in JSON: "pointer_to_freed_stack"
  std::uint64_t goroutine = 0;  // 0: it is about no goroutine
  std::optional<std::size_t> level;
  std::string function;
  std::string file;
  std::uint32_t line = 0;
  std::string variable;  // "p", "values+24"; of data the symbol
  std::string text;      // what is wrong, without the words that the fields above make
  Address address = 0;   // of the word; 0 for a register, and what is no word
  std::optional<std::uint64_t> value;
  std::optional<Place> place;  // where the value points
};

struct Audit {
  std::vector<AuditEntry> entries;
  std::uint64_t goroutines = 0;      // audited
  std::uint64_t skipped = 0;         // of which nothing is known
  std::uint64_t frames = 0;          // on goroutine stacks
  std::uint64_t recorded = 0;        // of them those with a record
  std::uint64_t words = 0;           // of frames, looked at
  std::uint64_t unnamed = 0;         // words of data without a symbol that point into stacks
  std::uint64_t data_words = 0;      // of the program's data
  std::vector<std::string> partial;  // what could not be looked at

  std::uint64_t findings() const;
  std::uint64_t notes() const;
};

// An entry about a frame.
AuditEntry frame_entry(const Goroutine& goroutine, const MapFrame& frame, std::string kind, std::string text);
// Frames found by unwinding that the records alone put elsewhere.
std::vector<AuditEntry> compare_walks(const Goroutine& goroutine, const std::vector<MapFrame>& frames, Memory& memory);
// Does a record pin a frame of this segment, so that no object on it moves?
bool pinned_segment(const std::vector<MapFrame>& frames, std::size_t segment);

}  // namespace stacktide
