#include "signal_actions.h"

#include <atomic>
#include <cerrno>

// libc's own name for it.
extern "C" int __sigaction(int signal, const struct sigaction* action, struct sigaction* before) noexcept;

namespace stacktide::runtime {
namespace {

// Signals whose action the program has set, a bit for each.
constinit std::atomic<std::uint64_t> set_by_program = 0;

std::uint64_t bit(int signal) { return std::uint64_t{1} << (signal - 1); }

[[maybe_unused]] void note_set(int signal) {
  if (signal >= 1 && signal < NSIG) set_by_program.fetch_or(bit(signal), std::memory_order_relaxed);
}

}  // namespace

bool is_set_by_program(int signal) { return (set_by_program.load(std::memory_order_relaxed) & bit(signal)) != 0; }

int set_action(int signal, const struct sigaction* action, struct sigaction* before) {
  return __sigaction(signal, action, before);
}

}  // namespace stacktide::runtime

// Sanitizers define these to see the program's handlers; a goroutine program under one needs stacks of 256 KiB anyway.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)

namespace {

using stacktide::runtime::bit;
using stacktide::runtime::note_set;

// Signals that siginterrupt() wants to interrupt system calls; signal() looks here, as libc's does.
constinit std::atomic<std::uint64_t> interrupting = 0;

using Handler = void (*)(int);

Handler install(int signal, Handler handler, int flags) {
  if (handler == SIG_ERR || signal < 1 || signal >= NSIG) {
    errno = EINVAL;
    return SIG_ERR;
  }
  note_set(signal);
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = handler;
  action.sa_flags = flags | SA_ONSTACK;
  if ((flags & SA_NODEFER) == 0) sigaddset(&action.sa_mask, signal);
  return __sigaction(signal, &action, &before) == 0 ? before.sa_handler : SIG_ERR;
}

}  // namespace

#define STACKTIDE_EXPORT extern "C" __attribute__((visibility("default")))

STACKTIDE_EXPORT int sigaction(int signal, const struct sigaction* action, struct sigaction* before) noexcept {
  if (action == nullptr) return __sigaction(signal, nullptr, before);
  note_set(signal);
  struct sigaction changed = *action;
  changed.sa_flags |= SA_ONSTACK;
  return __sigaction(signal, &changed, before);
}

STACKTIDE_EXPORT Handler bsd_signal(int signal, Handler handler) noexcept {
  const bool interrupts = signal >= 1 && signal < NSIG && (interrupting.load(std::memory_order_relaxed) & bit(signal)) != 0;
  return install(signal, handler, interrupts ? 0 : SA_RESTART);
}

STACKTIDE_EXPORT Handler signal(int number, Handler handler) noexcept { return bsd_signal(number, handler); }
STACKTIDE_EXPORT Handler ssignal(int signal, Handler handler) noexcept { return bsd_signal(signal, handler); }

STACKTIDE_EXPORT Handler __sysv_signal(int signal, Handler handler) noexcept {
  return install(signal, handler, SA_RESETHAND | SA_NODEFER);
}
STACKTIDE_EXPORT Handler sysv_signal(int signal, Handler handler) noexcept { return __sysv_signal(signal, handler); }

STACKTIDE_EXPORT int siginterrupt(int signal, int interrupt) noexcept {
  struct sigaction action{};
  if (__sigaction(signal, nullptr, &action) != 0) return -1;
  if (interrupt != 0) {
    interrupting.fetch_or(bit(signal), std::memory_order_relaxed);
    action.sa_flags &= ~SA_RESTART;
  } else {
    interrupting.fetch_and(~bit(signal), std::memory_order_relaxed);
    action.sa_flags |= SA_RESTART;
  }
  return __sigaction(signal, &action, nullptr);
}

STACKTIDE_EXPORT Handler sigset(int signal, Handler disposition) noexcept {
  sigset_t set;
  sigset_t blocked;
  sigemptyset(&set);
  if (disposition == SIG_ERR || sigaddset(&set, signal) != 0) {
    errno = EINVAL;
    return SIG_ERR;
  }
  if (disposition == SIG_HOLD) {
    struct sigaction now{};
    if (sigprocmask(SIG_BLOCK, &set, &blocked) != 0 || __sigaction(signal, nullptr, &now) != 0) return SIG_ERR;
    return sigismember(&blocked, signal) == 1 ? SIG_HOLD : now.sa_handler;
  }
  struct sigaction action{};
  struct sigaction before{};
  note_set(signal);
  action.sa_handler = disposition;
  action.sa_flags = SA_ONSTACK;
  if (__sigaction(signal, &action, &before) != 0 || sigprocmask(SIG_UNBLOCK, &set, &blocked) != 0) return SIG_ERR;
  return sigismember(&blocked, signal) == 1 ? SIG_HOLD : before.sa_handler;
}

#endif
