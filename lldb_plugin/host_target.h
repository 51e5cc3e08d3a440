// The target as LLDB holds it: live, core or remote, by the SB API alone.
//
// Concept. Memory and threads come from SBProcess. Modules come from whoever knows them best (host_modules.h).
// One object serves one stop of one process; it keeps no cache of memory, since LLDB has one.
//
// Invariants. SBProcess::ReadMemory may return short with Success, so counts decide and a short read is asked again page by
// page. No expression is evaluated, nothing is written. Goroutines shown as threads (goroutine_threads.h) are not OS threads
// and are left out.
#pragma once

#include <lldb/API/LLDB.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stacktide/core/target.h"

namespace stacktide::lldb_plugin {

class HostMemory : public Memory {
 public:
  explicit HostMemory(lldb::SBProcess process) : process_(process) {}
  std::size_t read_up_to(Address address, std::span<std::byte> out) override;

 private:
  lldb::SBProcess process_;
};

struct HostTargetOptions {
  // false: threads() gives none. For calls from inside LLDB's update of its thread list, where the list is the previous
  // stop's.
  bool threads = true;
};

class HostTarget : public Target {
 public:
  HostTarget(lldb::SBTarget target, lldb::SBProcess process, const HostTargetOptions& options);
  TargetKind kind() const override { return TargetKind::host; }
  std::string description() const override;
  std::uint64_t pid() const override;
  Memory& memory() override { return memory_; }
  const std::vector<Module>& modules() override;
  Result<std::vector<Thread>> threads() override;
  std::vector<std::string> damage() const override;
  std::optional<std::int64_t> now() const override;
  std::uint64_t local_pid() const override;
  std::string core_file() const override;

 private:
  void find_modules() const;

  lldb::SBTarget target_;
  lldb::SBProcess process_;
  HostTargetOptions options_;
  HostMemory memory_;
  // Found on first use; const callers (damage, now) need what was learnt on the way.
  struct Found {
    std::vector<Module> modules;
    std::vector<std::string> damage;
    bool local = false;  // the process runs on this machine
  };
  mutable std::optional<Found> found_;
};

// The general registers of a thread of the process, as far as LLDB knows them.
Registers registers_of(lldb::SBThread& thread);
// Whether the process is there and stands still, so that it can be read.
bool is_readable(lldb::SBProcess& process);

}  // namespace stacktide::lldb_plugin
