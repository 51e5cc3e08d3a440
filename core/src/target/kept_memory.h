// Memory with parts kept as they were: reads inside a kept range come from the copy, all others from the memory beneath.
//
// A live process is released as soon as its records and stacks are copied; names and lines are looked up while it runs on.
// What is not kept by then (text, tables, the heap that an argument points to) is read from the running process.
#pragma once

#include <map>
#include <vector>

#include "stacktide/core/target.h"

namespace stacktide {

class KeptMemory : public Memory {
 public:
  // `beneath` outlives this.
  explicit KeptMemory(Memory& beneath) : beneath_(beneath) {}

  // Copies what is there of [address, address + size). False, and nothing is kept, when the copies would pass `limit` bytes
  // in all.
  bool keep(Address address, std::size_t size, std::size_t limit);
  void forget() { kept_.clear(), total_ = 0; }
  std::size_t read_up_to(Address address, std::span<std::byte> out) override;

 private:
  Memory& beneath_;
  std::map<Address, std::vector<std::byte>> kept_;  // by first address; later ranges of the same start win
  std::size_t total_ = 0;
};

}  // namespace stacktide
