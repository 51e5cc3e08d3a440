// What the unwinder reads: the target's memory and, where that has a hole, the module's file.
//
// Concept. A core leaves out clean file pages, and so most text and every unwind table; they are the same bytes on disk.
// libunwind reads in words, thousands of times for one backtrace, and one word of another process costs a system call: so
// pages are kept. Invariants. A page of a module's read-only segment is kept for the life of the view; every other page only
// until forget(), since a target that was not stopped moves on. The first address that could not be read is remembered, so
// that a failed walk can name it. A byte that neither the target nor the file holds is never made up.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "elf/image.h"
#include "stacktide/core/target.h"
#include "unwind/module_index.h"

namespace stacktide {

class MemoryView : public Memory {
 public:
  // All three outlive the view.
  MemoryView(Memory& target, const std::vector<Module>& modules, ImageCache& images)
      : target_(target), modules_(modules), images_(images) {}

  // Follows changes in the list of modules; true when there were some, and all that was remembered about modules is void.
  bool refresh();
  // Drops the pages that may change, and the last fault.
  void forget();

  std::size_t read_up_to(Address address, std::span<std::byte> out) override;
  // One little-endian word; remembers the address when it fails.
  std::optional<std::uint64_t> word(Address address);
  std::optional<Address> last_fault() const { return last_fault_; }
  void clear_fault() { last_fault_.reset(); }

  const Module* module_at(Address address) const;
  // The program headers of a module in file addresses: from its file, else from its first page in memory. Empty when neither
  // can be read.
  const std::vector<ElfSegment>& segments_of(const Module& module);

 private:
  static constexpr std::size_t kPageSize = 4096;
  static constexpr std::size_t kMaxPages = 4096;  // 16 MiB kept at most
  struct Page {
    std::array<std::byte, kPageSize> bytes;
    std::size_t size = 0;  // bytes present from the start of the page on
  };

  const Page& page_at(Address start);
  std::size_t read_file(Address address, std::span<std::byte> out);
  bool immutable(Address address);
  std::vector<ElfSegment> segments_in_memory(const Module& module);

  Memory& target_;
  const std::vector<Module>& modules_;
  ImageCache& images_;
  ModuleIndex index_;
  std::unordered_map<const Module*, std::vector<ElfSegment>> segments_;
  std::unordered_map<Address, Page> fixed_;
  std::unordered_map<Address, Page> passing_;
  std::optional<Address> last_fault_;
};

}  // namespace stacktide
