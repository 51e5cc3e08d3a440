// The rules of the tree, as functions from a source tree to a list of violations.
//
// Concept. Every `#include` is an arrow from the part that a file lies in to the part that it names. Parts and allowed
// arrows are tables below. A quoted name that belongs to no part is an error too, so that a new folder cannot slip past the
// rules.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace stacktide::layering {

namespace fs = std::filesystem;

// Inside core a folder sees those of lower rank, itself and the public headers. Symbols stand above the unwinder, because an
// argument's value is read with the registers of its frame.
inline const std::map<std::string, int, std::less<>> kCoreRank = {
    {"base", 0},      {"snapshot", 1}, {"elf", 1},   {"target", 2},  {"descriptor", 3}, {"unwind", 3},  {"symbols", 4},
    {"producers", 5}, {"walk", 6},     {"trace", 6}, {"analyze", 7}, {"view", 8},       {"command", 9}, {"cli", 10}};

inline const std::set<std::string, std::less<>> kTopFolders = {"runtime",     "core",    "lldb_plugin",
                                                               "gdb_scripts", "samples", "tests"};

// Which parts each part may include, besides itself. core/src has the ranks on top of this.
inline const std::map<std::string, std::set<std::string>, std::less<>> kMayInclude = {
    {"runtime/abi", {}},
    {"runtime/include", {}},
    {"runtime/src", {"runtime/abi", "runtime/include"}},
    {"runtime/link", {"runtime/abi"}},
    {"core/include", {}},
    {"core/src", {"core/include", "runtime/abi"}},
    {"core/python", {"core/include"}},
    {"lldb_plugin", {"core/include"}},
    {"gdb_scripts", {"core/include"}},
    {"samples", {"runtime/include", "runtime/abi"}},
};

struct Include {
  int line;
  std::string name;
  bool quoted;
};

inline std::vector<std::string> read_lines(const fs::path& file) {
  std::vector<std::string> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

inline std::vector<Include> includes_of(const std::vector<std::string>& lines) {
  std::vector<Include> found;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    const auto skip_blanks = [&] { line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size())); };
    skip_blanks();
    if (!line.starts_with('#')) continue;
    line.remove_prefix(1);
    skip_blanks();
    if (!line.starts_with("include")) continue;
    line.remove_prefix(7);
    skip_blanks();
    if (line.empty() || (line[0] != '"' && line[0] != '<')) continue;
    const std::size_t end = line.find(line[0] == '"' ? '"' : '>', 1);
    if (end == std::string_view::npos) continue;
    found.push_back({static_cast<int>(i) + 1, std::string(line.substr(1, end - 1)), line[0] == '"'});
  }
  return found;
}

// The part of a file given by its path from the root: "core/src", "lldb_plugin", ...; "" for none.
inline std::string part_of(const std::string& path) {
  for (const auto& [part, allowed] : kMayInclude) {
    if (path.starts_with(part + "/")) return part;
  }
  return {};
}

inline bool is_source(const fs::path& path) {
  static constexpr std::array<std::string_view, 6> kSuffixes = {".h", ".c", ".cpp", ".S", ".py", ".hpp"};
  return std::ranges::find(kSuffixes, path.extension().string()) != kSuffixes.end();
}

// Paths of all sources below the fixed folders, relative to the root, sorted.
inline std::vector<std::string> sources(const fs::path& root) {
  std::vector<std::string> found;
  for (const std::string& folder : kTopFolders) {
    if (!fs::is_directory(root / folder)) continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder)) {
      if (entry.is_regular_file() && is_source(entry.path()))
        found.push_back(fs::relative(entry.path(), root).generic_string());
    }
  }
  std::ranges::sort(found);
  return found;
}

// The part that an include names, and for core/src its folder. part "": a system header or one of a library.
struct Named {
  std::string part;
  std::string core_folder;
};

inline Named named_by(const fs::path& root, const std::string& file, const Include& include) {
  const std::string& name = include.name;
  if (name.starts_with("stacktide/core/")) return {"core/include", {}};
  if (name == "stacktide/abi.h" || name == "stacktide/stack_map.h" || name == "stacktide/trace_file.h")
    return {"runtime/abi", {}};
  if (name.starts_with("stacktide/")) return {"runtime/include", {}};
  if (!include.quoted) return {};
  const fs::path beside = (fs::path(file).parent_path() / name).lexically_normal();
  if (fs::exists(root / beside)) return {part_of(beside.generic_string()), {}};
  const std::string folder = name.substr(0, name.find('/'));
  if (kCoreRank.contains(folder)) return {"core/src", folder};
  if (fs::exists(root / "runtime/src" / name)) return {"runtime/src", {}};
  return {"unknown", {}};
}

// One line for each include that the rules forbid: "core/src/elf/image.cpp:12: core/src/elf must not include view/text.h".
inline std::vector<std::string> forbidden_includes(const fs::path& root) {
  std::vector<std::string> violations;
  for (const std::string& file : sources(root)) {
    const std::string part = part_of(file);
    if (part.empty() || file.ends_with(".py")) continue;
    const std::string core_folder =
        part == "core/src" ? fs::path(file).parent_path().lexically_relative("core/src").begin()->string() : "";
    for (const Include& include : includes_of(read_lines(root / file))) {
      const auto complain = [&](const std::string& who) {
        violations.push_back(file + ":" + std::to_string(include.line) + ": " + who + " must not include " + include.name);
      };
      if (part == "runtime/abi" && include.name != "stdint.h") {
        complain(part);
        continue;
      }
      const Named named = named_by(root, file, include);
      if (named.part.empty()) continue;
      if (named.part != part) {
        if (!kMayInclude.at(part).contains(named.part)) complain(part);
      } else if (part == "core/src" && !named.core_folder.empty() && named.core_folder != core_folder) {
        const auto own = kCoreRank.find(core_folder);
        if (own == kCoreRank.end() || kCoreRank.at(named.core_folder) >= own->second) complain("core/src/" + core_folder);
      }
    }
  }
  return violations;
}

// Folders at the root that DESIGN's layout does not have. Build trees and hidden folders are nobody's business.
inline std::vector<std::string> unexpected_folders(const fs::path& root) {
  std::vector<std::string> violations;
  for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && !name.starts_with('.') && name != "build" && !kTopFolders.contains(name))
      violations.push_back(name);
  }
  std::ranges::sort(violations);
  return violations;
}

inline constexpr std::size_t kLongFile = 400;

// Files of more than 400 lines whose first 30 lines do not speak of their "lines".
inline std::vector<std::string> unexplained_lengths(const fs::path& root) {
  constexpr std::size_t kHead = 30;
  std::vector<std::string> violations;
  for (const std::string& file : sources(root)) {
    const std::vector<std::string> lines = read_lines(root / file);
    if (lines.size() <= kLongFile) continue;
    const auto says = [](const std::string& line) { return line.find("lines") != std::string::npos; };
    if (std::ranges::none_of(lines.begin(), lines.begin() + kHead, says)) {
      violations.push_back(file + ": " + std::to_string(lines.size()) + " lines, and its head does not say why");
    }
  }
  return violations;
}

}  // namespace stacktide::layering
