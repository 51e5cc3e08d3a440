// Goroutines that wait in each way there is, and more of them that run for long than there are Ps, for tools to look at.
//
//   rt_waits
//
// Run it with STACKTIDE_MAXPROCS=1: the monitor then asks spinners to yield, in a failed stack check. `ready` says that each
// has been asked. The program ends with its input. Not in an unnamed namespace: LLDB 19 loses such names at -O2.
#include <stacktide/net.h>
#include <stacktide/select.h>
#include <unistd.h>

#include <atomic>

#include "rt_support.h"

constexpr int kSpinners = 3;

std::atomic<int> spinning = 0;
bool over = false;  // atomic, without a function that a spinner could be asked in

[[gnu::noinline]] long step(long n) {
  volatile char room[64];
  room[n & 63] = 1;
  return n + room[n & 63];
}

void spinner() {
  spinning.fetch_add(1);
  long n = 0;
  while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) n = step(n);
  RT_CHECK(n > 0);
}

void selector(stacktide::channel<int> one, stacktide::channel<int> other) {
  RT_CHECK(stacktide::select(stacktide::on_recv(one), stacktide::on_recv(other)) < 2);
}

void no_cases() { stacktide::select(); }

void locker(stacktide::mutex held) {
  held.lock();
  held.unlock();
}

void sender(stacktide::channel<int> full) { full.send(1); }

void waiter(stacktide::wait_group group) { group.wait(); }

void sleeper() { stacktide::sleep_for(std::chrono::hours(1)); }

// Nobody writes.
void reader() {
  int ends[2];
  RT_CHECK(pipe(ends) == 0);
  stacktide::wait_readable(ends[0]);
}

[[gnu::noinline]] void wait_for_end() {
  for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
  }
}

int main() {
  stacktide::run([] {
    auto empty = stacktide::channel<int>::make();
    auto full = stacktide::channel<int>::make();
    stacktide::mutex held;
    stacktide::wait_group group;
    held.lock();
    group.add(1);
    stacktide::go(selector, empty, empty);
    stacktide::go(no_cases);
    stacktide::go(locker, held);
    stacktide::go(sender, full);
    stacktide::go(waiter, group);
    stacktide::go(sleeper);
    stacktide::go(reader);
    for (int i = 0; i < kSpinners; ++i) stacktide::go(spinner);
    // Only a spinner that yields lets the next begin.
    while (spinning.load() < kSpinners) stacktide::yield();
    std::puts("ready");
    std::fflush(stdout);
    stacktide::blocking([] { wait_for_end(); });
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
  });
}
