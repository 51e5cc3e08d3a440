// The contents of an ELF core file: segments, threads, mapped files, auxiliary vector. No memory semantics yet, no modules.
//
// Concept. One pass over the program headers and notes of an untrusted file yields plain values. Counts come from the file's
// own size, never from its claims, so nothing is allocated that the file does not hold. What is cut off or malformed leaves
// a line in `damage`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "stacktide/core/result.h"
#include "stacktide/core/target.h"
#include "target/module_list.h"

namespace stacktide {

// A PT_LOAD: [start, start + bytes.size()) is in the core; up to `dumped` once was, before the file was cut; up to `end` was
// mapped.
struct CoreSegment {
  Address start = 0;
  Address dumped = 0;
  Address end = 0;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  std::span<const std::byte> bytes;  // of the mapped file
};

struct CoreContents {
  MappedFile file;
  std::vector<CoreSegment> segments;            // by start
  std::vector<Thread> threads;                  // the main thread first
  std::vector<Mapping> mappings;                // NT_FILE
  std::map<std::uint64_t, std::uint64_t> auxv;  // by AT_ type
  std::uint64_t pid = 0;
  std::string program;  // pr_fname: the first 15 characters of the name
  std::vector<std::string> damage;
};

// Errors: io_error, not_an_elf_file, not_a_core_file, unsupported_target, truncated_core when not even the program headers
// are there.
Result<CoreContents> read_core_file(const std::string& path);

// The last segment that starts at or below the address, or nullptr.
const CoreSegment* segment_below(const std::vector<CoreSegment>& segments, Address address);

}  // namespace stacktide
