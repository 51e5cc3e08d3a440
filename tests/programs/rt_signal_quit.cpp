// Goroutines in every state, for ever: what SIGQUIT shows. Says "ready" when all are there. "own": the program has a handler
// of its own; "ignore": it ignores it.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <string_view>

#include "rt_support.h"

namespace {

using stacktide::channel;

std::atomic<int> arrived = 0;
int silent_pipe[2];

[[gnu::noinline]] void spin() {
  ++arrived;
  for (;;) asm volatile("pause");
}

[[gnu::noinline]] void read_for_ever() {
  char byte;
  ++arrived;
  RT_CHECK(read(silent_pipe[0], &byte, 1) == 1);
}

[[gnu::noinline]] void block_for_ever() {
  stacktide::blocking([] {
    char byte;
    ++arrived;
    RT_CHECK(read(silent_pipe[0], &byte, 1) == 1);
  });
}

[[gnu::noinline]] void receive_for_ever(channel<int> never) {
  ++arrived;
  never.recv();
}

[[gnu::noinline]] void wait_locked(channel<int> never) {
  stacktide::lock_os_thread();
  ++arrived;
  never.recv();
}

// Its thread cannot be asked for its frames.
[[gnu::noinline]] void spin_deaf() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  spin();
}

[[noreturn]] void own_handler(int) { std::_Exit(42); }

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "own") signal(SIGQUIT, own_handler);
  if (argc == 2 && std::string_view(argv[1]) == "ignore") signal(SIGQUIT, SIG_IGN);
  RT_CHECK(pipe(silent_pipe) == 0);
  const bool deaf = argc == 2 && std::string_view(argv[1]) == "deaf";
  stacktide::run([deaf] {
    auto never = channel<int>::make();
    stacktide::go(receive_for_ever, never);
    stacktide::go(wait_locked, never);
    stacktide::go(read_for_ever);
    stacktide::go(block_for_ever);
    stacktide::go(spin);
    if (deaf) stacktide::go(spin_deaf);
    while (arrived != (deaf ? 6 : 5)) stacktide::sleep_for(std::chrono::milliseconds(1));
    std::puts("ready");
    std::fflush(stdout);
    never.recv();
  });
}
