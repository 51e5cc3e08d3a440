// park N: N goroutines (default 10), each waiting on a channel below 0 to 31 calls, with a string on its stack.
//
//   park 1000 &
//   stacktide list --pid $!
//
// It prints what each goroutine measured of its own stack to the file named by PARK_TABLE, then `ready`, and waits for the end of its
// input. `park N` is what the tools are tested against: their numbers must equal these.
#include <stacktide/channel.h>
#include <stacktide/runtime.h>
#include <stacktide/sync.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

struct Measured {
  std::uint64_t id = 0;
  int depth = 0;
  stacktide::stack_numbers stack{};
};

using Channel = stacktide::channel<int>;

// Goes down `depth` calls, then waits. The compiler must not turn the calls into a loop.
[[gnu::noinline]] int park_below(int depth, Channel release, Measured* measured) {
  std::string text = "parked at depth " + std::to_string(depth);
  if (depth > 0) return park_below(depth - 1, release, measured) + static_cast<int>(text.size());
  measured->stack = stacktide::stack_info();
  release.recv();
  return static_cast<int>(text.size());
}

void worker(int depth, Channel release, Measured* measured, stacktide::wait_group finished) {
  stacktide::set_label("depth " + std::to_string(depth));
  measured->id = stacktide::goroutine_id();
  measured->depth = depth;
  park_below(depth, release, measured);
  finished.done();
}

}  // namespace

int main(int argc, char** argv) {
  const int n = argc > 1 ? std::atoi(argv[1]) : 10;
  if (n < 1) {
    std::fprintf(stderr, "park: wants a number of goroutines from 1 on, as in: park 1000\n");
    return 2;
  }
  // The numbers live outside any goroutine's stack: others write to them.
  std::vector<Measured> table(static_cast<std::size_t>(n));
  stacktide::run([&table, n] {
    auto release = Channel::make();
    stacktide::wait_group finished;
    finished.add(n);
    for (int i = 0; i < n; ++i) stacktide::go(worker, i % 32, release, &table[static_cast<std::size_t>(i)], finished);
    while (release.waiting() < static_cast<std::size_t>(n)) stacktide::yield();
    stacktide::blocking([&table] {
      if (const char* path = std::getenv("PARK_TABLE")) {
        std::FILE* file = std::fopen(path, "w");
        if (file == nullptr) std::abort();
        for (const Measured& m : table) {
          std::fprintf(file, "%lu %d %lu %lu %lu %lu\n", m.id, m.depth, m.stack.size, m.stack.used, m.stack.headroom, m.stack.grows);
        }
        std::fclose(file);
      }
      std::puts("ready");
      std::fflush(stdout);
      for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
      }
    });
    release.close();
    finished.wait();
  });
  std::puts("done");
}
