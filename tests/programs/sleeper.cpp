// sleeper [THREADS]: waits in read() on its main thread, with THREADS more threads that wait too. For tests of targets
// without goroutines. Prints "pid P thread T marker ADDRESS" per thread, then "ready". Each line of input is answered by
// "alive LINE"; ends at end of input.
#include <pthread.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

// Found by symbol in tests: a constant in read-only data and a value in writable data.
extern "C" {
extern const char sleeper_constant[];
const char sleeper_constant[] = "a constant in read-only data";
std::uint64_t sleeper_value = 0x5354414b54494445;
}

namespace {

struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  int waiting = 0;
  bool open = false;
};

void say_where(volatile std::uint64_t* marker) {
  std::printf("thread %d marker %p\n", static_cast<int>(::gettid()), const_cast<std::uint64_t*>(marker));
}

void wait_at(Gate& gate, int index) {
  char name[16];
  std::snprintf(name, sizeof name, "sleeper-%d", index);
  ::pthread_setname_np(::pthread_self(), name);
  volatile std::uint64_t marker = 0x1122334400000000U + static_cast<std::uint64_t>(index);
  std::unique_lock lock(gate.mutex);
  say_where(&marker);
  ++gate.waiting;
  gate.changed.notify_all();
  gate.changed.wait(lock, [&] { return gate.open; });
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 0;
  Gate gate;
  std::vector<std::thread> threads;
  for (int i = 1; i <= count; ++i) threads.emplace_back([&gate, i] { wait_at(gate, i); });
  {
    std::unique_lock lock(gate.mutex);
    gate.changed.wait(lock, [&] { return gate.waiting == count; });
  }
  volatile std::uint64_t marker = 0x1122334400000000U;
  say_where(&marker);
  std::printf("pid %d value %p constant %p\nready\n", static_cast<int>(::getpid()), static_cast<void*>(&sleeper_value),
              static_cast<const void*>(sleeper_constant));
  std::fflush(stdout);
  char line[256];
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    std::printf("alive %s", line);
    std::fflush(stdout);
  }
  {
    std::scoped_lock lock(gate.mutex);
    gate.open = true;
  }
  gate.changed.notify_all();
  for (auto& thread : threads) thread.join();
  return 0;
}
