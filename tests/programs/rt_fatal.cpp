// Ends in one of the runtime's fatal paths, named on the command line.
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "rt_support.h"

namespace {
std::atomic<long> clock_ahead = 0;  // seconds
}

// The runtime's clock too: a test cannot wait for minutes.
extern "C" int clock_gettime(clockid_t id, timespec* out) noexcept {
  const long result = syscall(SYS_clock_gettime, id, out);
  out->tv_sec += clock_ahead.load();
  return static_cast<int>(result);
}

namespace {

using stacktide::channel;

void deadlock() {
  auto never = channel<int>::make();
  stacktide::go([never]() mutable { never.recv(); });
  stacktide::wait_group also_never;
  also_never.add(1);
  also_never.wait();
}

void deadlock_for_minutes() {
  auto never = channel<int>::make();
  stacktide::go([never]() mutable { never.recv(); });
  stacktide::yield();
  clock_ahead = 5 * 60 + 59;
  channel<int>().send(1);
}

// One waits, one has not begun, and the one that made both fails.
void fail_with_others() {
  auto never = channel<int>::make();
  stacktide::go([never]() mutable { never.recv(); });
  stacktide::yield();
  stacktide::go([never]() mutable { never.recv(); });
  never.close();
  never.close();
}

// The last one to wake sleeps before it falls asleep for good.
void deadlock_after_sleep() {
  stacktide::sleep_for(std::chrono::milliseconds(2));
  stacktide::blocking([] {});
  channel<int>().recv();
}

void send_on_closed() {
  auto values = channel<int>::make(1);
  values.close();
  values.send(1);
}

void close_closed() {
  auto values = channel<int>::make();
  values.close();
  values.close();
}

void close_nil() { channel<int>().close(); }

void negative_wait_group() { stacktide::wait_group().done(); }

[[gnu::noinline]] long recurse_for_ever(long depth) {
  volatile long local = depth;
  return local < 0 ? 0 : recurse_for_ever(depth + 1) + local;
}
void stack_limit() { recurse_for_ever(0); }

int parking_compare(const void*, const void*) {
  stacktide::yield();
  return 0;
}
void park_in_callback() {
  int values[2] = {2, 1};
  std::qsort(values, 2, sizeof values[0], parking_compare);
}

void park_in_blocking() {
  stacktide::blocking([] { channel<int>::make().recv(); });
}

void park_in_handler() {
  signal(SIGUSR1, [](int) { stacktide::yield(); });
  raise(SIGUSR1);
  asm volatile("");  // no tail call: this function stays in the traceback
}

void run_inside() {
  stacktide::run([] {});
}

void uncaught() { throw std::runtime_error("nobody catches this"); }

constexpr rt::Test kTests[] = {{"deadlock", deadlock},
                               {"deadlock_after_sleep", deadlock_after_sleep},
                               {"deadlock_for_minutes", deadlock_for_minutes},
                               {"fail_with_others", fail_with_others},
                               {"send_on_closed", send_on_closed},
                               {"close_closed", close_closed},
                               {"close_nil", close_nil},
                               {"negative_wait_group", negative_wait_group},
                               {"stack_limit", stack_limit},
                               {"park_in_callback", park_in_callback},
                               {"park_in_blocking", park_in_blocking},
                               {"park_in_handler", park_in_handler},
                               {"run_inside", run_inside},
                               {"uncaught", uncaught}};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "outside") stacktide::yield();
  if (argc == 2 && std::string_view(argv[1]) == "go_before_run") stacktide::go([] {});
  for (const rt::Test& test : kTests) {
    if (argc == 2 && std::string_view(argv[1]) == test.name) stacktide::run(test.run);
  }
}
