// Library calls that last, for tools to look at: as many goroutines as there are Ps in read() on a pipe that never answers, and others that count on.
//
//   rt_syscall PS
//
// `ready` says that the others made their way while those were in read(). Then they wait, each in a place of its own: channel, poll(), a mutex, a
// function on the system stack, blocking(); the program ends with its input. Not in an unnamed namespace: LLDB 19 loses such names at -O2.
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "rt_support.h"

constexpr int kTurns = 1000;

std::mutex held;  // by the program's first thread, until the end
std::atomic<int> reading = 0;

[[gnu::noinline]] void reader(int pipe) {
  char byte = 0;
  reading.fetch_add(1);
  RT_CHECK(read(pipe, &byte, 1) == 0);
}

void counter(stacktide::wait_group counted, stacktide::channel<int> release) {
  for (int turn = 0; turn < kTurns; ++turn) stacktide::yield();
  counted.done();
  RT_CHECK(release.recv().has_value());
}

void poller(int pipe) {
  pollfd wanted{.fd = pipe, .events = POLLIN, .revents = 0};
  RT_CHECK(poll(&wanted, 1, -1) == 1);
}

void locker() { const std::lock_guard guard(held); }

[[gnu::noinline]] void switched(int pipe) {
  char byte = 0;
  RT_CHECK(read(pipe, &byte, 1) == 0 && byte == 0);
}

void switcher(int pipe) {
  stacktide::on_system_stack([pipe] { switched(pipe); });
}

[[gnu::noinline]] void wait_for_end() {
  for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
  }
}

void scene(int ps, int pipe) {
  stacktide::wait_group counted;
  auto release = stacktide::channel<int>::make();
  for (int i = 0; i < ps; ++i) stacktide::go(reader, pipe);
  while (reading.load() < ps) stacktide::yield();
  counted.add(ps);
  for (int i = 0; i < ps; ++i) stacktide::go(counter, counted, release);
  counted.wait();
  stacktide::go(poller, pipe);
  stacktide::go(locker);
  stacktide::go(switcher, pipe);
  std::puts("ready");
  std::fflush(stdout);
  stacktide::blocking([] { wait_for_end(); });
}

int main(int argc, char** argv) {
  int ends[2];
  if (argc != 2 || pipe(ends) != 0) return 2;
  held.lock();
  stacktide::run([ps = std::atoi(argv[1]), pipe = ends[0]] { scene(ps, pipe); });
  // What is still in a call goes with the process, as in Go.
  std::puts("done");
  std::fflush(stdout);
  std::_Exit(0);
}
