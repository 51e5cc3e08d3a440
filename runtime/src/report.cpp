#include "report.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "events.h"

namespace stacktide::runtime {
namespace {

constinit std::atomic<pid_t> reporter = 0;
constinit std::atomic<int> last_signal = SIGABRT;

pid_t own_tid() { return static_cast<pid_t>(syscall(SYS_gettid)); }

void unblock(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

// Takes the default action of `signal`, on this thread, now.
[[noreturn]] void die_by(int signal) {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
  unblock(signal);
  syscall(SYS_tgkill, getpid(), own_tid(), signal);
  _exit(128 + signal);
}

[[noreturn]] void end_at_once() {
  const int signal = last_signal.load(std::memory_order_relaxed);
  if (signal == SIGQUIT) _exit(2);
  die_by(signal);
}

void on_alarm(int) {
  say("\n(no progress for %u seconds: the report ends here)\n", kPatience);
  end_at_once();
}

}  // namespace

void say(const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  int n = std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (n > static_cast<int>(sizeof text) - 1) n = sizeof text - 1;
  const bool watched = reporting();
  if (watched) alarm(0);
  for (const char* at = text; n > 0;) {
    const ssize_t written = write(STDERR_FILENO, at, static_cast<std::size_t>(n));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    at += written;
    n -= static_cast<int>(written);
  }
  if (watched) alarm(kPatience);
}

bool reporting() { return reporter.load(std::memory_order_relaxed) != 0; }

void begin_report(int signal) {
  pid_t nobody = 0;
  const pid_t self = own_tid();
  if (!reporter.compare_exchange_strong(nobody, self, std::memory_order_relaxed)) {
    if (nobody == self) fail_report("another error");
    // Not with signals blocked: the reporting thread may ask this one for its frames.
    for (;;) pause();
  }
  last_signal.store(signal, std::memory_order_relaxed);
  struct sigaction action{};
  action.sa_handler = on_alarm;
  action.sa_flags = SA_ONSTACK;
  sigfillset(&action.sa_mask);
  sigaction(SIGALRM, &action, nullptr);
  unblock(SIGALRM);
  alarm(kPatience);
}

void end_report() {
  alarm(0);
  announce_events();
  if (last_signal.load(std::memory_order_relaxed) == SIGABRT) std::abort();
  end_at_once();
}

void fail_report(const char* what) {
  alarm(0);
  say("\n(%s while this was reported: the report ends here)\n", what);
  end_at_once();
}

}  // namespace stacktide::runtime
