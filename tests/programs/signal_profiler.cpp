// A profiler as they come, in a shared library of unchecked code, for LD_PRELOAD: from the start of the program on, a thread
// sends SIGPROF a thousand times a second to every other thread. The handler takes much more stack than a goroutine has, and
// does not ask for a signal stack. When the program exits, its exit code becomes 9 if no signal was handled.
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace {

constexpr long kPeriod = 1'000'000;  // ns

std::atomic<long> handled = 0;
std::atomic<bool> stop = false;
pthread_t sender;

void on_prof(int) {
  const int saved = errno;
  volatile char room[16384];
  for (std::size_t i = 0; i < sizeof room; i += 64) room[i] = static_cast<char>(i);
  if (room[128] == static_cast<char>(128)) ++handled;
  errno = saved;
}

void send_to_all(pid_t self) {
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return;
  while (const dirent* entry = readdir(tasks)) {
    const int tid = std::atoi(entry->d_name);
    if (tid > 0 && tid != self) syscall(SYS_tgkill, getpid(), tid, SIGPROF);
  }
  closedir(tasks);
}

void* send(void*) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  const auto self = static_cast<pid_t>(syscall(SYS_gettid));
  while (!stop) {
    send_to_all(self);
    const timespec period{.tv_sec = 0, .tv_nsec = kPeriod};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &period, nullptr);
  }
  return nullptr;
}

[[gnu::constructor]] void begin() {
  struct sigaction action {};
  action.sa_handler = on_prof;
  action.sa_flags = SA_RESTART;
  sigaction(SIGPROF, &action, nullptr);
  pthread_create(&sender, nullptr, send, nullptr);
}

[[gnu::destructor]] void end() {
  stop = true;
  pthread_join(sender, nullptr);
  if (handled == 0) _exit(9);
}

}  // namespace
