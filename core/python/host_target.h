// A target that a Python host holds: GDB, LLDB's Python, or a test.
//
// Concept. The host is any object with the attributes of HostTarget (duck typing; stacktide.HostTarget is the ready-made
// one):
// - read_memory(address, size) -> bytes: may be short, and is then asked for the rest; b"" or an exception: nothing is there
// - modules: list of Module, or a function that returns one
// - threads: list of Thread, or a function that returns one
// - pid, description: int and str
// - kind, optional: "process", "core" or "host" (the default)
// - local_pid, core_file, optional: how this machine's /proc, or which file, describes the target; 0 and "" when none does
// Core calls back in the middle of a command, on the thread that started it.
// Invariants. A Python Exception from a callback means absent memory, no modules, or no threads (the last two leave a line
// of damage); KeyboardInterrupt and SystemExit are not the target's: reads then fail at once, and Session raises it again.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stacktide/core/target.h"

namespace stacktide::python {

// Module, Thread and HostTarget for hosts to make.
void bind_host_target(pybind11::module_& module);

class PythonTarget : public Target, private Memory {
 public:
  explicit PythonTarget(pybind11::object host);
  ~PythonTarget() override;

  TargetKind kind() const override { return kind_; }
  std::string description() const override { return description_; }
  std::uint64_t pid() const override { return pid_; }
  Memory& memory() override { return *this; }
  const std::vector<Module>& modules() override;
  Result<std::vector<Thread>> threads() override;
  std::vector<std::string> damage() const override { return damage_; }
  std::optional<std::int64_t> now() const override;
  std::uint64_t local_pid() const override { return local_pid_; }
  std::string core_file() const override { return core_file_; }

  // Throws what a callback raised that must end the command (Ctrl-C), once.
  void rethrow_interrupt();

 private:
  std::size_t read_up_to(Address address, std::span<std::byte> out) override;
  std::size_t read_once(Address address, std::span<std::byte> out);
  // Calls attribute `name` if it can be called, else returns it.
  pybind11::object ask(const char* name) const;
  // Keeps an exception that is no Exception for rethrow_interrupt(), and returns its text in one line.
  std::string note_failure(pybind11::error_already_set& error);

  pybind11::object host_;
  pybind11::object read_memory_;
  TargetKind kind_ = TargetKind::host;
  std::string description_;
  std::uint64_t pid_ = 0;
  std::uint64_t local_pid_ = 0;
  std::string core_file_;
  std::optional<std::vector<Module>> modules_;
  std::vector<std::string> damage_;
  std::unique_ptr<pybind11::error_already_set> interrupt_;
};

}  // namespace stacktide::python
