// From file mappings to modules: shared by live processes and cores.
//
// Concept. A mapping says only that bytes of a file lie somewhere. A module is one ELF file as the loader laid it out: it
// starts where file offset 0 is mapped, and its program headers, read from the target's memory, say how far it reaches and
// which other mappings are its own. A file is used for a module only when it is the same build, which the build-id in memory
// decides. Rejected: grouping by path alone. A program may map an ELF file as data, or the same library twice; tiny programs
// map offset 0 twice.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "elf/image.h"
#include "elf/module_headers.h"
#include "stacktide/core/target.h"

namespace stacktide {

// A part of a file in the target's memory.
struct Mapping {
  Address start = 0;
  Address end = 0;
  std::uint64_t offset = 0;  // bytes into the file
  bool executable = true;    // true also where that is not known
  bool deleted = false;      // the path no longer names this file
  std::string path;          // "[vdso]" for the kernel's; "" for anonymous memory
};

// What was found out about a file as the origin of a module.
enum class Match : std::uint8_t { same, unknown, other };

struct FoundModule {
  Module module;
  bool deleted = false;
  Mapping first;                         // of file offset 0
  std::optional<ModuleHeaders> headers;  // nothing when they are absent from memory
  Match match = Match::other;            // of module.file
};

// Targets with more modules than this are cut there.
inline constexpr std::size_t kMaxModules = 1U << 16U;

// The modules among the mappings, by address; `file` is still empty. Mappings may come in any order.
std::vector<FoundModule> group_modules(std::vector<Mapping> mappings, Memory& memory);

// unknown: neither has a build-id and the headers are absent from memory, so nothing speaks against it.
Match compare(const FoundModule& found, const Image& image);
// "(build-id 0123456789ab.. against ...)": the file's first, then the one in memory.
std::string build_ids(const Image& image, const Module& module);

// Makes the file the module's. Where the headers are absent from memory, the load bias comes from the file.
void use_file(FoundModule& found, const std::string& file, const Image& image, Match match);

// Uses the first of `candidates` (paths that can be opened here) that can be the module's, or sets module.problem to why
// none can, with `target_name` as in "another build than the core's".
void choose_file(FoundModule& found, std::span<const std::string> candidates, ImageCache& images,
                 const std::string& target_name);

// Removes the " (deleted)" that the kernel adds to the path of a removed file; returns whether it was there.
bool strip_deleted(std::string& path);

}  // namespace stacktide
