// trace_load GROWTHS [HOW]: many goroutines on several Ps, each of which grows, until their stacks have grown GROWTHS times
// or a few more; for traces of many events. It prints what the runtime counted of each goroutine, summed up.
//
// HOW it ends: "" returns from main; exit: exit() from a goroutine; abort: abort() from a goroutine; idle: after "idle" it
// waits for its input's end, asleep; then: grows as often again after a line of input. Settings are the runtime's
// (STACKTIDE_POLICY=segmented gives links and releases).
#include <stacktide/runtime.h>
#include <stacktide/sync.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

struct Totals {
  std::atomic<unsigned long> grows = 0;
  std::atomic<unsigned long> links = 0;
  std::atomic<unsigned long> shrinks = 0;
};
static Totals totals;
static std::atomic<unsigned long> seen = 0;

constexpr int kAtOnce = 16;  // goroutines

// About 250 bytes a call: 2 KiB grow to 64 KiB.
[[gnu::noinline]] long descend(int depth, long* first) {
  volatile long room[24];
  room[depth % 24] = depth;
  if (depth == 0) return *first;
  return descend(depth - 1, first) + room[depth % 24] - depth;
}

void worker() {
  long first = 42;
  if (descend(200, &first) != 42) std::abort();
  const stacktide::stack_numbers stack = stacktide::stack_info();
  totals.grows += stack.grows;
  totals.links += stack.links;
  totals.shrinks += stack.shrinks;
  seen += stack.grows + stack.links;
}

// One of those that work at a time: it starts a goroutine after the other.
void foreman(unsigned long wanted) {
  stacktide::wait_group one;
  while (seen.load() < wanted) {
    one.add(1);
    stacktide::go([one] {
      worker();
      one.done();
    });
    one.wait();
  }
}

void load(unsigned long wanted) {
  stacktide::wait_group all;
  all.add(kAtOnce);
  for (int i = 0; i < kAtOnce; ++i) {
    stacktide::go([all, wanted] {
      foreman(wanted);
      all.done();
    });
  }
  all.wait();
}

int main(int argc, char** argv) {
  const unsigned long wanted = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1000;
  const char* how = argc > 2 ? argv[2] : "";
  const auto start = std::chrono::steady_clock::now();
  stacktide::run([=] {
    load(wanted);
    const long took = (std::chrono::steady_clock::now() - start) / std::chrono::microseconds(1);
    if (std::strcmp(how, "then") == 0) {
      std::puts("ready");
      std::fflush(stdout);
      char line[16];
      stacktide::blocking([&] { (void)!read(0, line, sizeof line); });
      load(2 * wanted);
    }
    std::printf("the runtime counted %lu grows, %lu links, %lu shrinks\n", totals.grows.load(), totals.links.load(),
                totals.shrinks.load());
    std::printf("in %ld us\n", took);
    std::fflush(stdout);
    if (std::strcmp(how, "exit") == 0) std::exit(0);
    if (std::strcmp(how, "abort") == 0) std::abort();
    if (std::strcmp(how, "idle") == 0) {
      char line[16];
      stacktide::blocking([&] { (void)!read(0, line, sizeof line); });
    }
  });
}
