// record_load WHAT N: something to record, N times. It prints what the program itself counted, and how long it took.
//
// growths: a goroutine grows from 2 to 64 KiB and shrinks again. yields: two goroutines yield in turns. waits: two hand a
// value back and forth. spawns: goroutines that only end. leak: N goroutines wait on a channel for ever when main returns.
// deadlock: main joins them. hang: they wait, main prints "ready" and waits for its input in blocking(). busy: after
// "ready", growths until it is killed. fork: a child process is made, which ends by exit(), then goroutines as by spawns.
// text: labels.
#include <stacktide/channel.h>
#include <stacktide/runtime.h>
#include <stacktide/sync.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

using stacktide::channel;
using stacktide::wait_group;

// About 250 bytes a call.
[[gnu::noinline]] long descend(int depth, long* first) {
  volatile long room[24];
  room[depth % 24] = depth;
  if (depth == 0) return *first;
  return descend(depth - 1, first) + room[depth % 24] - depth;
}

void grower() {
  long first = 42;
  if (descend(200, &first) != 42) std::abort();
}

void growths(long n) {
  for (long i = 0; i < n; ++i) {
    grower();
    for (int halvings = 0; halvings < 5; ++halvings) stacktide::shrink_stacks();
  }
}

void waiter(channel<long> values) { values.recv(); }

void yields(long n) {
  wait_group both;
  both.add(2);
  for (int i = 0; i < 2; ++i) {
    stacktide::go([both, n] {
      for (long left = n; left != 0; --left) stacktide::yield();
      both.done();
    });
  }
  both.wait();
}

void waits(long n) {
  auto there = channel<long>::make(0);
  auto back = channel<long>::make(0);
  stacktide::go([there, back] {
    while (auto value = there.recv()) back.send(*value + 1);
    back.close();
  });
  for (long i = 0; i < n; ++i) {
    there.send(i);
    back.recv();
  }
  there.close();
  back.recv();
}

void spawns(long n) {
  for (long i = 0; i < n; ++i) {
    wait_group one;
    one.add(1);
    stacktide::go([one] { one.done(); });
    one.wait();
  }
}

void leave_waiting(long n) {
  auto never = channel<long>::make(0);
  for (long i = 0; i < n; ++i) stacktide::go([never] { waiter(never); });
  for (long i = 0; i < 2 * n + 10; ++i) stacktide::yield();
}

void say_ready() {
  std::puts("ready");
  std::fflush(stdout);
}

void body(const char* what, long n) {
  if (std::strcmp(what, "growths") == 0) return growths(n);
  if (std::strcmp(what, "yields") == 0) return yields(n);
  if (std::strcmp(what, "waits") == 0) return waits(n);
  if (std::strcmp(what, "spawns") == 0) return spawns(n);
  if (std::strcmp(what, "leak") == 0) return leave_waiting(n);
  if (std::strcmp(what, "deadlock") == 0) {
    leave_waiting(n);
    waiter(channel<long>::make(0));
  }
  if (std::strcmp(what, "hang") == 0) {
    leave_waiting(n);
    say_ready();
    char line[16];
    stacktide::blocking([&] { (void)!read(0, line, sizeof line); });
    return;
  }
  if (std::strcmp(what, "busy") == 0) {
    for (long i = 0;; ++i) {
      wait_group one;
      one.add(1);
      stacktide::go([one] {
        grower();
        one.done();
      });
      one.wait();
      if (i == n) say_ready();
    }
  }
  if (std::strcmp(what, "fork") == 0) {
    // What is buffered would be written twice.
    std::fflush(stdout);
    const pid_t child = stacktide::blocking([] { return fork(); });
    if (child == 0) std::exit(0);
    stacktide::blocking([child] { (void)!waitpid(child, nullptr, 0); });
    return spawns(n);
  }
  if (std::strcmp(what, "text") == 0) {
    for (long i = 0; i < n; ++i) stacktide::set_label("label " + std::to_string(i));
    return;
  }
  std::fprintf(stderr, "record_load: what is %s?\n", what);
  std::exit(2);
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "spawns";
  const long n = argc > 2 ? std::strtol(argv[2], nullptr, 10) : 1000;
  stacktide::run([=] {
    const auto start = std::chrono::steady_clock::now();
    body(what, n);
    std::printf("in %ld us\n", static_cast<long>((std::chrono::steady_clock::now() - start) / std::chrono::microseconds(1)));
    std::fflush(stdout);
  });
}
