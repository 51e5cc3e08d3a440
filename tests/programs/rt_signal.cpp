// Signals while goroutines do all that they do.
//   (nothing)  SIGPROF, from a timer and from another thread, to every thread; the handler is goroutine code and needs more
//   stack than a goroutine has actions    every way to install a handler asks for the signal stack, and keeps what it
//   promises otherwise step       for tests/support/single_step.h: marks around a short piece of work that uses every way
//   off a goroutine's stack
#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "rt_support.h"

// What is deprecated has callers all the same.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

extern "C" void (*bsd_signal(int, void (*)(int)))(int);
extern "C" void (*__sysv_signal(int, void (*)(int)) noexcept)(int);

namespace {

using stacktide::channel;

std::atomic<long> handled = 0;

// As a handler may be that the program's author compiled with everything else.
[[gnu::noinline]] long deep(long n) {
  volatile char room[300];
  room[0] = static_cast<char>(n);
  return n == 0 ? room[0] : deep(n - 1) + (room[0] == static_cast<char>(n) ? 1 : 0);
}

void on_prof(int) {
  RT_CHECK(deep(40) == 40);
  ++handled;
}

[[gnu::noinline]] long sum_to(long n) {
  volatile long here = n;
  return n == 0 ? 0 : sum_to(n - 1) + here;
}

[[gnu::noinline]] void throw_below(int n) {
  volatile char room[100];
  room[0] = 1;
  if (n == 0) throw std::runtime_error("from below");
  throw_below(n - 1);
  room[1] = room[0];
}

int compare(const void* a, const void* b) { return *static_cast<const int*>(a) - *static_cast<const int*>(b); }

// Growth, exceptions, library calls with and without stack arguments, callbacks, indirect calls.
void work(int seed) {
  RT_CHECK(sum_to(300) == 45150);
  bool caught = false;
  try {
    throw_below(20);
  } catch (const std::runtime_error& e) {
    caught = std::string_view(e.what()) == "from below";
  }
  RT_CHECK(caught);
  char text[160];
  std::snprintf(text, sizeof text, "%d %d %d %d %d %d %d %.3f %s", seed, 2, 3, 4, 5, 6, 7, 0.125,
                std::to_string(seed).c_str());
  RT_CHECK(std::string(text) == std::to_string(seed) + " 2 3 4 5 6 7 0.125 " + std::to_string(seed));
  int values[] = {5, 3, 9, seed % 3, 7};
  std::qsort(values, 5, sizeof values[0], compare);
  RT_CHECK(values[0] == seed % 3 && values[4] == 9);
  long (*volatile indirect)(long) = sum_to;
  RT_CHECK(indirect(10) == 55);
  std::size_t (*volatile unchecked)(const char*) = std::strlen;
  RT_CHECK(unchecked("twelve bytes") == 12);
}

void exchange(channel<int> in, channel<int> out) {
  while (auto value = in.recv()) out.send(*value + 1);
  out.close();
}

void send_to_all_threads() {
  DIR* tasks = opendir("/proc/self/task");
  while (const dirent* entry = readdir(tasks)) {
    if (const int tid = std::atoi(entry->d_name); tid > 0) syscall(SYS_tgkill, getpid(), tid, SIGPROF);
  }
  closedir(tasks);
}

// Ends when so many signals have been handled, and so many rounds done.
constexpr long kSignals = 1500;
constexpr int kRounds = 30;

void under_fire() {
  stacktide::wait_group done;
  for (int worker = 0; worker < 6; ++worker) {
    done.add(1);
    stacktide::go([worker, done]() mutable {
      auto there = channel<int>::make();
      auto back = channel<int>::make(2);
      stacktide::go(exchange, there, back);
      for (int round = 0; round < kRounds || handled < kSignals; ++round) {
        work(round + worker);
        there.send(round);
        RT_CHECK(back.recv() == round + 1);
        if (round % 8 == worker) stacktide::shrink_stacks();
        if (round % 3 == 0) stacktide::yield();
      }
      there.close();
      RT_CHECK(!back.recv());
      done.done();
    });
  }
  done.wait();
}

void stress() {
  struct sigaction action {};
  action.sa_handler = on_prof;
  action.sa_flags = SA_RESTART;
  RT_CHECK(sigaction(SIGPROF, &action, nullptr) == 0);
  const itimerval every{.it_interval = {0, 1000}, .it_value = {0, 1000}};
  RT_CHECK(setitimer(ITIMER_PROF, &every, nullptr) == 0);
  std::atomic<bool> stop = false;
  std::thread sender([&] {
    while (!stop) {
      send_to_all_threads();
      const timespec period{.tv_sec = 0, .tv_nsec = 1'000'000};
      nanosleep(&period, nullptr);
    }
  });
  stacktide::run(under_fire);
  stop = true;
  sender.join();
  std::printf("right\n");
}

// What the kernel knows of a signal's action.
struct KernelAction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  unsigned long mask;
};
KernelAction kernel_action(int signal) {
  KernelAction action{};
  RT_CHECK(syscall(SYS_rt_sigaction, signal, nullptr, &action, sizeof action.mask) == 0);
  return action;
}

unsigned long bit(int signal) { return 1UL << (signal - 1); }

void nothing(int) {}

void check_action(int signal, unsigned long flags, unsigned long mask) {
  const KernelAction action = kernel_action(signal);
  constexpr unsigned long kRestorer = 0x04000000;
  RT_CHECK(action.handler == nothing);
  RT_CHECK((action.flags & ~kRestorer) == (flags | SA_ONSTACK));
  RT_CHECK(action.mask == mask);
}

void check_all() {
  struct sigaction action {};
  action.sa_handler = nothing;
  action.sa_flags = SA_NODEFER;
  sigaddset(&action.sa_mask, SIGUSR2);
  RT_CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
  check_action(SIGUSR1, SA_NODEFER, bit(SIGUSR2));
  struct sigaction before {};
  RT_CHECK(sigaction(SIGUSR1, nullptr, &before) == 0);
  RT_CHECK(before.sa_handler == nothing && (before.sa_flags & SA_NODEFER) != 0);

  RT_CHECK(signal(SIGUSR1, SIG_DFL) == nothing);
  RT_CHECK(signal(SIGUSR1, nothing) == SIG_DFL);
  check_action(SIGUSR1, SA_RESTART, bit(SIGUSR1));
  RT_CHECK(signal(SIGKILL, nothing) == SIG_ERR);
  RT_CHECK(signal(1000, nothing) == SIG_ERR);

  RT_CHECK(siginterrupt(SIGUSR1, 1) == 0);
  check_action(SIGUSR1, 0, bit(SIGUSR1));
  RT_CHECK(bsd_signal(SIGUSR1, nothing) == nothing);
  check_action(SIGUSR1, 0, bit(SIGUSR1));
  RT_CHECK(siginterrupt(SIGUSR1, 0) == 0);
  RT_CHECK(bsd_signal(SIGUSR1, nothing) == nothing);
  check_action(SIGUSR1, SA_RESTART, bit(SIGUSR1));

  RT_CHECK(__sysv_signal(SIGUSR1, nothing) == nothing);
  check_action(SIGUSR1, SA_RESETHAND | SA_NODEFER, 0);

  RT_CHECK(sigset(SIGUSR1, nothing) == nothing);
  check_action(SIGUSR1, 0, 0);
  RT_CHECK(sigset(SIGUSR1, SIG_HOLD) == nothing);
  RT_CHECK(sigset(SIGUSR1, nothing) == SIG_HOLD);

  // Whoever has installed a handler: the runtime, a preloaded library, libc itself.
  int handlers = 0;
  for (int number = 1; number <= 64; ++number) {
    const KernelAction installed = kernel_action(number);
    if (installed.handler == SIG_DFL || installed.handler == SIG_IGN) continue;
    ++handlers;
    if ((installed.flags & SA_ONSTACK) == 0) std::fprintf(stderr, "signal %d has a handler without SA_ONSTACK\n", number);
    RT_CHECK((installed.flags & SA_ONSTACK) != 0);
  }
  RT_CHECK(handlers >= 8);
  std::printf("right\n");
}

// The same on a thread's stack and on a goroutine's; setuid() makes libc send signals of its own to all threads.
void actions() {
  stacktide::run([] {
    RT_CHECK(setuid(getuid()) == 0);
    check_all();
  });
  check_all();
}

// int3 with a number in eax: the stepping parent sees it.
#define MARK(number) asm volatile("int3" : : "a"(number) : "memory")

void on_step(int) {
  const long result = deep(20);
  MARK(result == 20 ? 3 : 4);
}

void stepped(long depth) {
  // On one thread, which the parent steps.
  stacktide::lock_os_thread();
  auto there = channel<int>::make();
  auto back = channel<int>::make();
  stacktide::go(exchange, there, back);
  stacktide::yield();
  long sum = 0;
  std::size_t length = 0;
  char text[160];
  MARK(1);
  sum = sum_to(depth);
  std::snprintf(text, sizeof text, "%d %d %d %d %d %d %d", 1, 2, 3, 4, 5, 6, 7);
  length = std::strlen(text);
  long (*volatile indirect)(long) = sum_to;
  sum += indirect(5);
  std::size_t (*volatile unchecked)(const char*) = std::strlen;
  length += unchecked("abc");
  there.send(41);
  const auto answer = back.recv();
  stacktide::yield();
  MARK(2);
  RT_CHECK(sum == depth * (depth + 1) / 2 + 15);
  RT_CHECK(length == 13 + 3);
  RT_CHECK(std::string_view(text) == "1 2 3 4 5 6 7");
  RT_CHECK(answer == 42);
  std::printf("right\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 1) {
    stress();
  } else if (std::string_view(argv[1]) == "actions") {
    actions();
  } else if (argc == 3) {
    RT_CHECK(signal(SIGUSR1, on_step) == SIG_DFL);
    stacktide::run([depth = std::atol(argv[2])] { stepped(depth); });
  }
}
