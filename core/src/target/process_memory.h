// Memory of a live process.
//
// process_vm_readv first: one system call, no copy through a kernel page. Where it stops, /proc/PID/mem goes on: it reaches
// pages that are mapped without read permission (guard pages, poisoned stacks), as debuggers do, and it ends exactly at the
// first absent page.
#pragma once

#include "base/mapped_file.h"
#include "stacktide/core/target.h"

namespace stacktide {

class ProcessMemory : public Memory {
 public:
  // `tid`: any live thread of the process. `mem`: its /proc/TID/mem, open for reading.
  ProcessMemory(std::uint64_t tid, UniqueFd mem) : tid_(tid), mem_(std::move(mem)) {}
  std::size_t read_up_to(Address address, std::span<std::byte> out) override;

 private:
  std::uint64_t tid_;
  UniqueFd mem_;
};

}  // namespace stacktide
