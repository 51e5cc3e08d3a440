// What /proc tells about a process: status, threads, mappings, and why access to it is refused.
//
// Everything here is a look at one moment of something that moves on; callers expect any file to be gone by the next call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stacktide/core/result.h"
#include "target/module_list.h"
#include "target/regions.h"

namespace stacktide {

struct ProcessStatus {
  char state = '?';  // R, S, D, T, t, Z, X
  std::uint64_t thread_group = 0;
  std::uint64_t parent = 0;
  std::uint64_t tracer = 0;  // thread id, 0 none
  std::uint64_t user = 0;    // real user id
  std::string name;
};

// Of a process or a thread ("/proc/7", "/proc/7/task/8"); nothing when there is none.
std::optional<ProcessStatus> read_status(const std::string& folder);
ProcessStatus parse_status(std::string_view text);

// Ids of the threads of a process, the main thread first; at most 2^20. Empty when the process is gone.
std::vector<std::uint64_t> list_threads(std::uint64_t pid);

// No /proc/PID/maps is read beyond this many bytes.
inline constexpr std::size_t kMaxMapsText = std::size_t{1} << 28U;
// The text of /proc/PID/maps, whole; lines that make no sense are left out.
std::vector<Region> parse_regions(std::string_view text);
// Of these, files and the vdso.
std::vector<Mapping> parse_maps(std::string_view text);

// The CPU that a thread runs on or ran on last; nothing when it is gone.
std::optional<std::uint32_t> last_cpu(std::uint64_t pid, std::uint64_t tid);

// One line that says which of the reasons it is that this process may not be looked into, and what to do about that one:
// another user's process, a missing CAP_SYS_PTRACE, ptrace_scope, or a process that is not dumpable.
Error permission_error(std::uint64_t pid);

// What permission_error decides by, apart for tests.
struct AccessFacts {
  std::uint64_t pid = 0;
  std::uint64_t own_user = 0;
  std::uint64_t target_user = 0;
  bool can_ptrace = false;  // CAP_SYS_PTRACE is effective
  int ptrace_scope = 0;     // /proc/sys/kernel/yama/ptrace_scope; 0 where there is no Yama
};
std::string explain_refusal(const AccessFacts& facts);

}  // namespace stacktide
