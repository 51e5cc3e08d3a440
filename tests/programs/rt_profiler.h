// A profiler as libraries have them: with RT_SIGPROF=N in the environment, every thread of an rt_* program gets SIGPROF N
// times a second, at any instruction. Nothing may change for it. Included by rt_support.h.
#pragma once

#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace rt {

class Profiler {
 public:
  Profiler() {
    const char* rate = std::getenv("RT_SIGPROF");
    if (rate == nullptr || std::atoi(rate) <= 0) return;
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    if (sigaction(SIGPROF, &action, nullptr) != 0) std::abort();
    std::thread(send_for_ever, 1'000'000'000L / std::atoi(rate)).detach();
    active_ = true;
  }
  ~Profiler() {
    // A run that saw none would prove nothing; the first comes within milliseconds.
    if (!active_) return;
    while (seen.load(std::memory_order_relaxed) == 0) std::this_thread::yield();
    std::printf("%ld signals\n", seen.load(std::memory_order_relaxed));
  }

 private:
  // As much stack as a profiler that unwinds takes. Libraries do not ask for SA_ONSTACK, so the runtime must.
  static void on_signal(int) {
    volatile char frame[8192];
    for (std::size_t i = 0; i < sizeof frame; i += 64) frame[i] = 1;
    seen.fetch_add(1, std::memory_order_relaxed);
  }

  static std::vector<int> threads() {
    std::vector<int> tids;
    DIR* folder = opendir("/proc/self/task");
    if (folder == nullptr) return tids;
    while (const dirent* entry = readdir(folder)) {
      if (const int tid = std::atoi(entry->d_name); tid != 0 && tid != gettid()) tids.push_back(tid);
    }
    closedir(folder);
    return tids;
  }

  static void send_for_ever(long interval) {
    constexpr int kTurnsPerList = 16;
    const int pid = getpid();
    for (;;) {
      const std::vector<int> tids = threads();
      for (int turn = 0; turn < kTurnsPerList; ++turn) {
        for (const int tid : tids) syscall(SYS_tgkill, pid, tid, SIGPROF);
        const timespec pause{interval / 1'000'000'000L, interval % 1'000'000'000L};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
      }
    }
  }

  static inline std::atomic<long> seen = 0;
  bool active_ = false;
};

inline const Profiler profiler;

}  // namespace rt
