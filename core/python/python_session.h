// A core Session behind Python's stacktide.Session.
//
// Invariants. The GIL is held throughout, so at most one call runs; a host's callback may let another Python thread or a
// nested call in, and that one gets an Error instead of a half-filled snapshot.
// Rejected: releasing the GIL around core. GDB and LLDB want their own API called from the thread that asked.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string_view>
#include <utility>

#include "errors.h"
#include "host_target.h"
#include "stacktide/core/command.h"

namespace stacktide::python {

inline HostKind host_of(std::string_view name) {
  if (name == "cli") return HostKind::cli;
  if (name == "gdb") return HostKind::gdb;
  if (name == "lldb") return HostKind::lldb;
  if (name == "python") return HostKind::python;
  throw pybind11::value_error("host is \"cli\", \"gdb\", \"lldb\" or \"python\"");
}

class PythonSession {
 public:
  explicit PythonSession(std::unique_ptr<Target> target) : session_(std::make_unique<Session>(std::move(target))) {}
  explicit PythonSession(std::unique_ptr<PythonTarget> target) : host_(target.get()) {
    session_ = std::make_unique<Session>(std::unique_ptr<Target>(std::move(target)));
  }

  // Runs `work` on the session alone. What a host's callback raised to end the command (Ctrl-C) comes out here.
  template <class Work>
  auto call(Work work) {
    if (session_ == nullptr) raise({ErrorCode::not_supported, 0, "the session is closed"});
    if (busy_) raise({ErrorCode::not_supported, 0, "the session is in the middle of another call"});
    struct Busy {
      bool& flag;
      explicit Busy(bool& set) : flag(set) { flag = true; }
      ~Busy() { flag = false; }
    } busy(busy_);
    auto result = work(*session_);
    if (host_ != nullptr) host_->rethrow_interrupt();
    return result;
  }

  // Lets go of the target; a process runs on.
  void close() {
    if (busy_) raise({ErrorCode::not_supported, 0, "the session is in the middle of another call"});
    host_ = nullptr;
    session_.reset();
  }

 private:
  std::unique_ptr<Session> session_;
  PythonTarget* host_ = nullptr;  // the session's target, when a Python host's
  bool busy_ = false;
};

}  // namespace stacktide::python
