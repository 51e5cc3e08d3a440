// A target whose memory, threads and clock a test decides.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stacktide/core/target.h"
#include "support/fake_memory.h"

namespace stacktide::test {

class FakeTarget : public Target {
 public:
  TargetKind kind() const override { return kind_; }
  std::string description() const override { return description_; }
  std::uint64_t pid() const override { return 4242; }
  FakeMemory& memory() override { return memory_; }
  const std::vector<Module>& modules() override { return modules_; }
  Result<std::vector<Thread>> threads() override { return threads_; }
  std::vector<std::string> damage() const override { return damage_; }
  std::optional<std::int64_t> now() const override { return now_; }

  // Maps an ELF file's first page at `start`, with the note that points to the descriptor.
  void add_module_with_note(Address start, Address descriptor);
  void add_thread(std::uint64_t tid, Address pc, Address sp);

  TargetKind kind_ = TargetKind::core;
  std::string description_ = "core fake.core (/usr/bin/fake)";
  FakeMemory memory_;
  std::vector<Module> modules_;
  std::vector<Thread> threads_;
  std::vector<std::string> damage_;
  std::optional<std::int64_t> now_;
};

}  // namespace stacktide::test
