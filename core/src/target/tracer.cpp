#include "target/tracer.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <set>

#include "target/proc_fs.h"
#include "target/user_registers.h"

namespace stacktide {
namespace {

// A thread in uninterruptible sleep stops only when its I/O is done. Past this it is listed without registers.
constexpr std::chrono::milliseconds kStopLimit{2'000};
constexpr std::chrono::milliseconds kReleaseLimit{200};
// New threads can appear while others are being stopped, but each round stops those that could create more.
constexpr int kMaxRounds = 1000;

bool has_ended(std::uint64_t tid) {
  const auto status = read_status(fmt::format("/proc/{}", tid));
  return !status || status->state == 'Z' || status->state == 'X';
}

enum class Seize : std::uint8_t { done, gone, refused };

Seize seize(std::uint64_t tid) {
  const auto id = static_cast<pid_t>(tid);
  if (::ptrace(PTRACE_SEIZE, id, nullptr, nullptr) == 0) {
    ::ptrace(PTRACE_INTERRUPT, id, nullptr, nullptr);
    return Seize::done;
  }
  if (errno == ESRCH) return Seize::gone;
  // A thread that has ended but is not yet collected refuses with EPERM too: the main thread, while others go on.
  return has_ended(tid) ? Seize::gone : Seize::refused;
}

}  // namespace

struct Tracer::Held {
  std::uint64_t tid = 0;
  bool stopped = false;
  bool gone = false;
  bool main = false;
  int signal = 0;  // caught on its way to the thread: belongs to it
};

void Tracer::wait_for_stops(std::vector<Held>& held, Clock::time_point deadline) {
  // ptrace has no wait with a bound. Most threads stop within some microseconds, so the pauses start small.
  auto pause = std::chrono::microseconds(20);
  for (;;) {
    bool waiting = false;
    for (Held& thread : held) {
      if (thread.stopped || thread.gone) continue;
      const auto id = static_cast<id_t>(thread.tid);
      siginfo_t info{};
      // First a look only: when the process is this one's child, its exit status belongs to whoever started it.
      const int found = ::waitid(P_PID, id, &info, WSTOPPED | WEXITED | WNOWAIT | WNOHANG | __WALL);
      const bool stop = info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED;
      if (found != 0 && errno != EINTR) {
        thread.gone = true;
      } else if (found != 0 || info.si_pid == 0) {
        waiting = true;
      } else if (!stop) {
        thread.gone = true;
        // Only its tracer can collect another thread, and the process cannot end before that.
        if (!thread.main) ::waitid(P_PID, id, &info, WEXITED | WNOHANG | __WALL);
      } else {
        info = {};
        if (::waitid(P_PID, id, &info, WSTOPPED | WNOHANG | __WALL) != 0 || info.si_pid == 0) {
          waiting = true;  // killed between both looks
          continue;
        }
        thread.stopped = true;
        // The high bits mark the stop that we asked for, and stops by job control. Otherwise the thread is about to take a
        // signal.
        if (info.si_status >> 8 == 0) thread.signal = info.si_status;
      }
    }
    if (!waiting || Clock::now() >= deadline) return;
    std::this_thread::sleep_for(pause);
    if (pause < std::chrono::milliseconds(1)) pause *= 2;
  }
}

Result<std::unique_ptr<Tracer>> Tracer::stop(std::uint64_t pid) {
  std::unique_ptr<Tracer> tracer(new Tracer);
  tracer->thread_ = std::thread([self = tracer.get(), pid] { self->live(pid); });
  std::unique_lock lock(tracer->mutex_);
  tracer->changed_.wait(lock, [&] { return tracer->outcome_.has_value(); });
  if (!*tracer->outcome_) {
    Error error = tracer->outcome_->error();
    lock.unlock();
    return std::unexpected(std::move(error));
  }
  lock.unlock();
  return tracer;
}

Tracer::~Tracer() {
  {
    const std::scoped_lock lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Tracer::live(std::uint64_t pid) {
  // Signals are for the host's own threads.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  std::vector<Held> held;
  Result<void> outcome = stop_all(pid, held);
  if (outcome) collect(held);
  stopped_ = Clock::now();
  {
    std::unique_lock lock(mutex_);
    const bool good = outcome.has_value();
    outcome_ = std::move(outcome);
    changed_.notify_all();
    if (good) changed_.wait(lock, [&] { return closing_; });
  }
  release(held);
}

Result<void> Tracer::stop_all(std::uint64_t pid, std::vector<Held>& held) {
  began_ = Clock::now();
  const auto deadline = began_ + kStopLimit;
  std::set<std::uint64_t> seen;
  for (int round = 0; round < kMaxRounds; ++round) {
    bool grew = false;
    for (const std::uint64_t tid : list_threads(pid)) {
      if (!seen.insert(tid).second) continue;
      grew = true;
      switch (seize(tid)) {
        case Seize::done:
          held.push_back({.tid = tid, .main = tid == pid});
          break;
        case Seize::gone:
          break;
        case Seize::refused:
          threads_.push_back({.tid = tid, .registers = {}, .problem = "it may not be traced"});
          break;
      }
    }
    if (!grew) break;
    wait_for_stops(held, deadline);
  }
  if (!held.empty()) return {};
  if (!threads_.empty()) return std::unexpected(permission_error(pid));
  return fail(ErrorCode::no_such_process, fmt::format("process {} has ended", pid));
}

void Tracer::collect(std::vector<Held>& held) {
  std::vector<StoppedThread> refused = std::move(threads_);
  threads_.clear();
  for (Held& thread : held) {
    // A main thread that ends before the others is a zombie that no wait reports.
    if (thread.gone || (!thread.stopped && has_ended(thread.tid))) continue;
    StoppedThread result{.tid = thread.tid, .registers = {}, .problem = {}};
    user_regs_struct registers{};
    iovec where{.iov_base = &registers, .iov_len = sizeof registers};
    if (!thread.stopped) {
      result.problem = fmt::format("it did not stop within {} ms", kStopLimit.count());
    } else if (::ptrace(PTRACE_GETREGSET, static_cast<pid_t>(thread.tid), NT_PRSTATUS, &where) != 0) {
      result.problem = fmt::format("its registers cannot be read: {}", std::strerror(errno));
    } else if (where.iov_len != sizeof registers) {
      result.problem = "it runs 32-bit code";
    } else {
      result.registers = from_user_registers(registers);
    }
    threads_.push_back(std::move(result));
  }
  for (StoppedThread& thread : refused) threads_.push_back(std::move(thread));
}

void Tracer::release(std::vector<Held>& held) {
  // Only a stopped thread can be detached. One that is still on its way gets a last chance; then the end of this thread
  // releases it.
  wait_for_stops(held, Clock::now() + kReleaseLimit);
  for (const Held& thread : held) {
    if (!thread.stopped || thread.gone) continue;
    ::ptrace(PTRACE_DETACH, static_cast<pid_t>(thread.tid), nullptr,
             reinterpret_cast<void*>(static_cast<std::intptr_t>(thread.signal)));
  }
}

}  // namespace stacktide
