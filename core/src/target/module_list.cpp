#include "target/module_list.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/printable.h"

namespace stacktide {
namespace {

constexpr Address kPage = 4096;
// A module's mappings follow each other; looking further for each of many hostile headers would take quadratic time.
constexpr std::size_t kMaxMappingsPerModule = 1024;

Address page_down(Address address) { return address / kPage * kPage; }

// Whether this mapping is where the loader puts one of the module's segments.
bool belongs(const FoundModule& found, const Mapping& mapping) {
  if (mapping.path != found.first.path) return false;
  for (const ElfSegment& segment : found.headers->segments) {
    if (segment.type != PT_LOAD) continue;
    const Address start = page_down(found.module.load_bias + segment.address);
    const Address end = found.module.load_bias + segment.address + segment.memory_size;
    // mprotect splits mappings, so one may begin in the middle of its segment.
    if (mapping.start >= start && mapping.start < end && mapping.start - start == mapping.offset - page_down(segment.offset))
      return true;
  }
  return false;
}

// Where the headers are absent: the run of mappings of that file up to where it starts again.
bool continues(const FoundModule& found, const Mapping& mapping) {
  return mapping.path == found.first.path && mapping.offset != 0;
}

bool same_segments(const std::vector<ElfSegment>& left, const std::vector<ElfSegment>& right) {
  return std::ranges::equal(left, right, [](const ElfSegment& a, const ElfSegment& b) {
    return a.type == b.type && a.flags == b.flags && a.address == b.address && a.memory_size == b.memory_size &&
           a.offset == b.offset && a.file_size == b.file_size;
  });
}

std::string shortened(const std::string& build_id) {
  if (build_id.empty()) return "none";
  return build_id.size() <= 16 ? build_id : build_id.substr(0, 16) + "..";
}

}  // namespace

std::vector<FoundModule> group_modules(std::vector<Mapping> mappings, Memory& memory) {
  std::erase_if(mappings, [](const Mapping& mapping) { return mapping.path.empty() || mapping.start >= mapping.end; });
  std::ranges::stable_sort(mappings, {}, &Mapping::start);
  std::vector<bool> taken(mappings.size());
  std::vector<FoundModule> result;
  for (std::size_t i = 0; i < mappings.size() && result.size() < kMaxModules; ++i) {
    if (taken[i] || mappings[i].offset != 0) continue;
    FoundModule found;
    found.first = mappings[i];
    found.deleted = mappings[i].deleted;
    found.module.path = mappings[i].path;
    found.module.start = mappings[i].start;
    found.module.end = mappings[i].end;
    found.module.load_bias = mappings[i].start;
    auto headers = read_module_headers(memory, mappings[i].start);
    if (headers) {
      found.module.load_bias = headers->load_bias;
      found.module.build_id = headers->build_id;
      found.module.end = std::max(found.module.end, headers->end);
      found.headers = *std::move(headers);
    } else if (headers.error().code != ErrorCode::memory_fault) {
      continue;  // some other file
    }
    bool executable = mappings[i].executable;
    std::vector<std::size_t> members{i};
    for (std::size_t k = i + 1; k < std::min(mappings.size(), i + kMaxMappingsPerModule); ++k) {
      const Mapping& next = mappings[k];
      if (found.headers ? next.start >= found.module.end : !continues(found, next)) break;
      if (taken[k] || (found.headers && !belongs(found, next))) continue;
      members.push_back(k);
      executable = executable || next.executable;
    }
    if (!executable) continue;  // read as data
    for (const std::size_t member : members) {
      taken[member] = true;
      found.module.end = std::max(found.module.end, mappings[member].end);
    }
    result.push_back(std::move(found));
  }
  // Headers may promise more than was mapped; the next module's start is certain.
  for (std::size_t i = 0; i + 1 < result.size(); ++i) {
    result[i].module.end = std::min(result[i].module.end, result[i + 1].module.start);
  }
  return result;
}

Match compare(const FoundModule& found, const Image& image) {
  if (!found.module.build_id.empty()) return image.build_id() == found.module.build_id ? Match::same : Match::other;
  if (!found.headers) return Match::unknown;
  return same_segments(found.headers->segments, image.segments()) ? Match::same : Match::other;
}

std::string build_ids(const Image& image, const Module& module) {
  return fmt::format("(build-id {} against {})", shortened(image.build_id()), shortened(module.build_id));
}

void use_file(FoundModule& found, const std::string& file, const Image& image, Match match) {
  found.match = match;
  found.module.file = file;
  found.module.problem.clear();
  if (found.headers) return;
  if (const auto bias = load_bias_of(image.segments(), found.first.start)) found.module.load_bias = *bias;
}

void choose_file(FoundModule& found, std::span<const std::string> candidates, ImageCache& images,
                 const std::string& target_name) {
  Module& module = found.module;
  module.file.clear();
  const std::string path = printable(module.path);
  std::string gone = fmt::format("{} is gone", path);
  for (const std::string& candidate : candidates) {
    std::string problem;
    const Image* image = images.get(candidate, &problem);
    if (image == nullptr) {
      // Why the usual place failed is worth telling; that there is nothing at all is said already.
      if (module.problem.empty() && !problem.ends_with("No such file or directory")) module.problem = printable(problem);
      continue;
    }
    const Match match = compare(found, *image);
    if (match != Match::other) {
      use_file(found, candidate, *image, match);
      return;
    }
    if (module.problem.empty()) {
      module.problem = fmt::format("{} is another build than the {}'s {}", path, target_name, build_ids(*image, module));
    }
  }
  if (module.problem.empty()) module.problem = std::move(gone);
}

bool strip_deleted(std::string& path) {
  constexpr std::string_view kSuffix = " (deleted)";
  if (!path.ends_with(kSuffix)) return false;
  path.resize(path.size() - kSuffix.size());
  return true;
}

}  // namespace stacktide
