// The object file that brings stack maps into a program.
//
// Concept. Maps are made from the linked program, and linked into it: the program is linked twice, first with the maps of
// the last time or with none, then with its own. All in them is relative to symbols, and nothing in goroutine code depends
// on their size, so the second link yields the same code; that is checked, not assumed.
//
// Rejected: writing the section into the linked file (a segment needs room among the program headers, and a section that is
// not loaded is lost by some strip programs, needs /proc to be read, and without it all stacks would be pinned).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "stack_maps.h"

namespace stacktide::link {

// maps.o in `directory`, of the maps of an earlier link if it is there, else without any; returns its path.
Result<std::filesystem::path> first_maps_object(const std::string& driver, const std::filesystem::path& directory);
// Makes `directory`/maps.o of these. False: it was just that already.
Result<bool> write_maps_object(const std::string& driver, const std::filesystem::path& directory, const StackMaps& maps);
// The code that the maps speak of, as far as it must not differ between two links.
struct CodeLayout {
  std::vector<std::string> lines;
  bool operator==(const CodeLayout&) const = default;
};
Result<CodeLayout> code_layout(const std::filesystem::path& program);

}  // namespace stacktide::link
