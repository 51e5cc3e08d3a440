#include "support/stepper.h"

#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "support/process.h"
#include "target/user_registers.h"

namespace stacktide::test {
namespace {

void check(long result, const char* what) {
  if (result == -1) throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

// The signal that the thread has stopped for.
int wait_for_stop(pid_t thread) {
  int status = 0;
  check(waitpid(thread, &status, __WALL), "waitpid");
  if (!WIFSTOPPED(status)) throw std::runtime_error(fmt::format("the thread has ended, status {:#x}", status));
  return WSTOPSIG(status);
}

}  // namespace

pid_t reading_thread(pid_t pid) {
  const auto end = std::chrono::steady_clock::now() + kTimeout;
  while (std::chrono::steady_clock::now() < end) {
    for (const auto& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid))) {
      // "0 0x0 ...": the call's number and first argument.
      std::string call;
      if (std::getline(std::ifstream(task.path() / "syscall"), call) && call.starts_with("0 0x0 "))
        return std::stoi(task.path().filename());
    }
  }
  throw std::runtime_error(fmt::format("no thread of process {} waits for its input", pid));
}

Stepper::Stepper(pid_t pid) : thread_(reading_thread(pid)) {
  check(ptrace(PTRACE_SEIZE, thread_, nullptr, nullptr), "PTRACE_SEIZE");
  check(ptrace(PTRACE_INTERRUPT, thread_, nullptr, nullptr), "PTRACE_INTERRUPT");
  wait_for_stop(thread_);
}

Stepper::~Stepper() { ptrace(PTRACE_DETACH, thread_, nullptr, signal_); }

void Stepper::step() {
  check(ptrace(PTRACE_SINGLESTEP, thread_, nullptr, signal_), "PTRACE_SINGLESTEP");
  const int stop = wait_for_stop(thread_);
  signal_ = stop == SIGTRAP ? 0 : stop;
}

Registers Stepper::registers() const {
  user_regs_struct user{};
  check(ptrace(PTRACE_GETREGS, thread_, nullptr, &user), "PTRACE_GETREGS");
  return from_user_registers(user);
}

}  // namespace stacktide::test
