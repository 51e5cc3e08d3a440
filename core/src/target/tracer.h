// Holds all threads of a process still by ptrace, and lets them go again.
//
// Concept. ptrace knows a tracing *thread*, not a process: only the thread that attached may ask or detach. So each Tracer
// has a thread of its own that attaches, reads the registers once, waits, and detaches; the target can then be opened, used
// and closed from any thread. When that thread ends, for whatever reason, the kernel lets go of everything it still held.
// PTRACE_SEIZE sends no signal and leaves no trace in the process: when this process is killed, the kernel releases the
// threads and they run on. Invariants. Never waits without a bound. A thread caught on its way to handle a signal gets that
// signal on detach. A process stopped by job control stays stopped. Nothing of the process is written: registers are read
// once, and never set. Rejected: PTRACE_ATTACH (its SIGSTOP outlives a killed tracer and collides with job control); SIGSTOP
// to the process (visible to its parent, and shells react to it).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "stacktide/core/result.h"
#include "stacktide/core/target.h"

namespace stacktide {

struct StoppedThread {
  std::uint64_t tid = 0;
  std::optional<Registers> registers;  // nothing when `problem` says why not
  std::string problem;
};

class Tracer {
 public:
  using Clock = std::chrono::steady_clock;

  // Stops every thread of the process. Errors: no_such_process when none is left, permission_denied when not even one may be
  // traced, unsupported_target for a 32-bit process.
  static Result<std::unique_ptr<Tracer>> stop(std::uint64_t pid);
  // Lets the process run on.
  ~Tracer();
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  // The main thread first. Fixed once stopped.
  const std::vector<StoppedThread>& threads() const { return threads_; }
  // When the first thread was asked to stop, and when the last one stood still.
  Clock::time_point began() const { return began_; }
  Clock::time_point stopped() const { return stopped_; }

 private:
  struct Held;  // a seized thread
  Tracer() = default;
  void live(std::uint64_t pid);
  Result<void> stop_all(std::uint64_t pid, std::vector<Held>& held);
  void collect(std::vector<Held>& held);
  // Waits until each of the threads has stopped or ended, or until the deadline.
  static void wait_for_stops(std::vector<Held>& held, Clock::time_point deadline);
  static void release(std::vector<Held>& held);

  std::vector<StoppedThread> threads_;
  Clock::time_point began_;
  Clock::time_point stopped_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Result<void>> outcome_;  // of stopping; set once
  bool closing_ = false;
  std::thread thread_;  // last: everything else is there when it starts
};

}  // namespace stacktide
