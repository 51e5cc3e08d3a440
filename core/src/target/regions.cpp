#include "target/regions.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/mapped_file.h"
#include "target/core_file.h"
#include "target/proc_fs.h"

namespace stacktide {
namespace {

constexpr Address kVsyscall = 0xffffffffff600000;  // fixed on x86-64

// A core knows the extents and permissions of all mappings, and the names of those that were files.
Result<std::vector<Region>> regions_of_core(const std::string& path) {
  const CoreContents core = STACKTIDE_TRY(read_core_file(path));
  std::vector<Region> regions;
  for (const CoreSegment& segment : core.segments) {
    if (segment.start >= segment.end) continue;
    Region region;
    region.start = segment.start;
    region.end = segment.end;
    region.readable = segment.readable;
    region.writable = segment.writable;
    region.executable = segment.executable;
    regions.push_back(std::move(region));
  }
  const auto named = [&](Address start) { return std::ranges::find(regions, start, &Region::start); };
  for (const Mapping& mapping : core.mappings) {
    auto found = named(mapping.start);
    if (found == regions.end()) {
      if (mapping.start >= mapping.end) continue;
      found = regions.insert(std::ranges::upper_bound(regions, mapping.start, {}, &Region::start), Region());
      found->start = mapping.start;
      found->end = mapping.end;
      found->readable = found->absent = true;
    }
    found->offset = mapping.offset;
    found->name = mapping.path;
  }
  // The kernel's own have no names in a core; the string of the program's path lies at the top of the main thread's stack.
  for (const auto& [type, text] : {std::pair{AT_SYSINFO_EHDR, "[vdso]"}, std::pair{AT_EXECFN, "[stack]"}}) {
    const auto at = core.auxv.find(static_cast<std::uint64_t>(type));
    if (at == core.auxv.end()) continue;
    for (Region& region : regions) {
      if (at->second >= region.start && at->second < region.end && region.name.empty()) region.name = text;
    }
  }
  if (const auto found = named(kVsyscall); found != regions.end()) found->name = "[vsyscall]";
  return regions;
}

}  // namespace

Result<std::vector<Region>> regions_of(const Target& target) {
  if (const auto pid = target.local_pid(); pid != 0) {
    // Of a main thread that has ended, the file is empty.
    for (const auto tid : list_threads(pid)) {
      const auto text = read_text_file(fmt::format("/proc/{}/task/{}/maps", pid, tid), kMaxMapsText);
      if (text && !text->empty()) return parse_regions(*text);
    }
    return fail(ErrorCode::no_such_process, fmt::format("process {} has no mappings: it has ended", pid));
  }
  if (const auto path = target.core_file(); !path.empty()) return regions_of_core(path);
  return fail(ErrorCode::not_supported, "the mappings of a process on another machine are not known here");
}

}  // namespace stacktide
