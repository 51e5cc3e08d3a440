// The target: whatever holds the memory, modules and threads of the program looked at.
//
// Concept. One interface, three kinds of implementation: a live process (core/src/target), an ELF core file
// (core/src/target), and a debugger that already holds the program (each front end brings its own). All above
// reads through it, so whatever the host can read, remote targets included, core can.
//
// Invariants. Memory has one virtual read, which may be short; all else is built on it once. Absent bytes are a fault
// naming the first bad address, never zeroes. Adapters compare counts, never a status.
// Addresses are 64-bit values of the target and never dereferenced.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "stacktide/core/result.h"

namespace stacktide {

using Address = std::uint64_t;

class Memory {
 public:
  virtual ~Memory() = default;
  // Reads as many bytes as are there from `address` on, at most out.size(); returns how many. 0: not even the first.
  virtual std::size_t read_up_to(Address address, std::span<std::byte> out) = 0;

  // Reads all of `out`, or fails with memory_fault at the first absent byte.
  Result<void> read(Address address, std::span<std::byte> out);
  // Reads a zero-terminated string of at most `limit` bytes; one without an end within the limit is cut there.
  Result<std::string> read_string(Address address, std::size_t limit);
  template <class T>
  requires std::is_trivially_copyable_v<T> Result<T> read_value(Address address) {
    T value{};
    if (auto done = read(address, std::as_writable_bytes(std::span(&value, 1))); !done) return std::unexpected(done.error());
    return value;
  }
};

// DWARF register numbers of x86-64 (System V ABI, figure 3.36), which libunwind, GDB's and LLDB's CFI share.
enum class Register : std::uint8_t { rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip };
inline constexpr std::size_t kRegisterCount = 17;

struct Registers {
  std::array<std::uint64_t, kRegisterCount> values{};
  std::uint32_t valid = 0;  // bit n: values[n] is known

  void set(Register reg, std::uint64_t value) {
    values[static_cast<std::size_t>(reg)] = value;
    valid |= 1U << static_cast<unsigned>(reg);
  }
  std::optional<std::uint64_t> get(Register reg) const {
    if ((valid >> static_cast<unsigned>(reg) & 1U) == 0) return std::nullopt;
    return values[static_cast<std::size_t>(reg)];
  }
};

// An ELF file mapped into the target.
struct Module {
  std::string path;       // as the target names it
  std::string file;       // what to open here ("/proc/PID/root/..."); "" when the file is gone or is another build
  Address load_bias = 0;  // added to the file's addresses
  Address start = 0;      // lowest mapped address
  Address end = 0;        // one past the highest
  std::string build_id;   // lower-case hex as found in the target's memory; "" unknown
  std::string problem;    // why `file` is empty, for people; "" otherwise
};

struct Thread {
  std::uint64_t tid = 0;
  std::string name;
  Registers registers;
};

struct MemoryRange {
  Address address = 0;
  std::uint64_t size = 0;  // bytes
};

enum class TargetKind : std::uint8_t { process, core, host };
// As in JSON: "process". Static.
const char* target_kind_name(TargetKind kind);

class Target {
 public:
  virtual ~Target() = default;
  virtual TargetKind kind() const = 0;
  // For people: "process 4242 (/path/park)" or "core park.core (/path/park)".
  virtual std::string description() const = 0;
  virtual std::uint64_t pid() const = 0;
  virtual Memory& memory() = 0;
  virtual const std::vector<Module>& modules() = 0;
  // Fails as a whole only when no thread could be read.
  virtual Result<std::vector<Thread>> threads() = 0;
  // What is missing from the target, one line each: "core is cut short at ...". Empty: nothing known.
  virtual std::vector<std::string> damage() const { return {}; }
  // Lets a process that was stopped for reading run on; these ranges still read as they are now. Does nothing when they are
  // too much to keep (256 MiB), and for targets that do not hold one: cores, hosts, processes read as they run.
  virtual void release(std::span<const MemoryRange> keep) { static_cast<void>(keep); }
  // The process id by which /proc of this machine describes the target; 0 for cores and remote targets.
  virtual std::uint64_t local_pid() const { return 0; }
  // The path of the core file on this machine; "" for processes, and where it is not known.
  virtual std::string core_file() const { return {}; }
  // CLOCK_MONOTONIC of the target in nanoseconds; nothing for cores and remote targets.
  virtual std::optional<std::int64_t> now() const { return std::nullopt; }
};

struct ProcessOptions {
  bool stop = true;  // PTRACE_SEIZE and interrupt all threads while open; false: read without stopping it
};
// Opens a live process. With options.stop its threads stand still until the target is released or closed, or this process
// dies. A process that another tracer holds is read without stopping it, with a line in damage(). Errors: no_such_process,
// permission_denied, unsupported_target.
Result<std::unique_ptr<Target>> open_process(std::uint64_t pid, const ProcessOptions& options = {});
// For how long open_process kept its threads stopped so far, in nanoseconds; 0 for other targets.
std::int64_t pause_of(const Target& target);

struct CoreOptions {
  std::string executable;  // overrides the path recorded in the core; "" takes that
};
// Opens an ELF core file. Errors: io_error, not_an_elf_file, not_a_core_file, unsupported_target, build_id_mismatch (only
// for an executable given by hand; a recorded one that no longer fits is dropped with a line in damage()).
Result<std::unique_ptr<Target>> open_core(const std::string& path, const CoreOptions& options = {});

}  // namespace stacktide
