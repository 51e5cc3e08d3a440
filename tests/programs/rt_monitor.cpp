// What the monitor does to running goroutines, seen from inside: Ps taken from library calls that last, goroutines that are asked to yield, and what
// belongs to a goroutine when it changes threads (errno, the exception in flight) or must not (lock_os_thread).
//
// Each test bounds its own waiting: a goroutine that keeps the others from running is a failure after kPatience, not a hang.
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "rt_monitor_library.h"
#include "rt_support.h"

namespace {

using Clock = std::chrono::steady_clock;
using stacktide::wait_group;

constexpr auto kPatience = std::chrono::seconds(60);
constexpr int kLasting = 25;  // milliseconds: the monitor takes a P at the latest after 10 and two looks

[[gnu::noinline]] std::uint32_t thread_id() { return static_cast<std::uint32_t>(syscall(SYS_gettid)); }

int max_procs() {
  const char* value = std::getenv("STACKTIDE_MAXPROCS");
  return value != nullptr ? std::atoi(value) : 1;
}

// Never kept on a stack that may move: the atomics that goroutines share are globals.
std::atomic<int> started;
std::atomic<int> progress;
std::atomic<bool> over;

template <class F>
void wait_until(F done) {
  const auto end = Clock::now() + kPatience;
  while (!done()) {
    RT_CHECK(Clock::now() < end);
    stacktide::yield();
  }
}

// As many goroutines as there are Ps, each in a read() that nobody answers: the others go on.
void test_read() {
  int ends[2];
  RT_CHECK(pipe(ends) == 0);
  started = progress = 0;
  const int n = max_procs();
  wait_group readers;
  readers.add(n);
  for (int i = 0; i < n; ++i) {
    stacktide::go([fd = ends[0], readers]() mutable {
      ++started;
      char byte = 0;
      RT_CHECK(read(fd, &byte, 1) == 1 && byte == 'x');
      readers.done();
    });
  }
  wait_group others;
  others.add(100);
  for (int i = 0; i < 100; ++i) {
    stacktide::go([others]() mutable {
      for (int j = 0; j < 100; ++j) stacktide::yield();
      ++progress;
      others.done();
    });
  }
  others.wait();
  RT_CHECK(progress == 100);
  wait_until([n] { return started == n; });
  for (int i = 0; i < n; ++i) RT_CHECK(write(ends[1], "x", 1) == 1);
  readers.wait();
  close(ends[0]);
  close(ends[1]);
}

std::mutex locked;

// A goroutine that holds a std::mutex waits for one that waits for the mutex, on one P perhaps.
void test_mutex() {
  progress = 0;
  wait_group finished;
  finished.add(2);
  auto turn = stacktide::channel<int>::make();
  stacktide::go([turn, finished]() mutable {
    locked.lock();
    turn.send(1);
    // The other is on its way to the mutex. Calls that last, so that it gets there.
    integer_after(2 * kLasting, 0);
    ++progress;
    locked.unlock();
    finished.done();
  });
  stacktide::go([turn, finished]() mutable {
    turn.recv();
    locked.lock();
    RT_CHECK(progress == 1);
    locked.unlock();
    finished.done();
  });
  finished.wait();
}

[[gnu::noinline]] double mixed(double a, double b, double c, double d, double e, double f, double g, double h, long i, const char* text) {
  char room[64];
  std::memcpy(room, text, 8);
  return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + static_cast<double>(i) + room[0] - text[0];
}

// Goroutines that never wait but call functions share the Ps, and keep their arguments.
void test_long_runners() {
  over = false;
  progress = 0;
  const int n = max_procs() + 2;
  wait_group finished;
  finished.add(n);
  for (int i = 0; i < n; ++i) {
    stacktide::go([finished, i]() mutable {
      ++progress;
      const auto end = Clock::now() + kPatience;
      double sum = 0;
      for (long round = 0; !over; ++round) {
        const double x = static_cast<double>(i);
        sum = mixed(x, x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, i, "constant");
        // 36 x + (2 + 6 + 12 + 20 + 30 + 42 + 56) + i
        RT_CHECK(sum == 36 * x + 168 + x);
        if (round % 1024 == 0) RT_CHECK(Clock::now() < end);
      }
      finished.done();
    });
  }
  // Runs only because the others are asked to yield; once all of them have, all have been asked.
  wait_until([n] { return progress == n; });
  over = true;
  finished.wait();
}

void test_results() {
  wait_group finished;
  finished.add(1);
  over = false;
  // Keeps every P busy, so that whoever loses one has to wait for another.
  for (int i = 0; i < max_procs(); ++i) {
    stacktide::go([] {
      while (!over) stacktide::yield();
    });
  }
  stacktide::go([finished]() mutable {
    RT_CHECK(integer_after(kLasting, -7) == -7);
    RT_CHECK(two_words_after(kLasting, (static_cast<__int128>(3) << 64) + 4) == (static_cast<__int128>(3) << 64) + 4);
    RT_CHECK(vector_after(kLasting, 2.5) == 2.5);
    RT_CHECK(x87_after(kLasting, 1.25L) == 1.25L);
    const _Complex long double pair = x87_pair_after(kLasting, 1.5L, -2.5L);
    RT_CHECK(__real__ pair == 1.5L && __imag__ pair == -2.5L);
    const Wide wide = memory_after(kLasting, 9);
    RT_CHECK(wide.lanes[0] == 9 && wide.lanes[3] == 12);
    int local = 5;
    RT_CHECK(pointer_after(kLasting, &local) == &local && local == 5);
    RT_CHECK(error_after(kLasting, ENOENT) == -1 && errno == ENOENT);
    finished.done();
  });
  finished.wait();
  over = true;
}

struct Callback {
  stacktide::channel<int> values;
  int thrown = 0;
};

// While library code calls back, the P may be gone already.
void test_callbacks() {
  auto values = stacktide::channel<int>::make(16);
  started = 0;
  const auto callback = std::make_unique<Callback>(Callback{values});
  call_after(kLasting, [](void* argument) {
    auto& self = *static_cast<Callback*>(argument);
    for (int i = 0; i < 8; ++i) RT_CHECK(self.values.try_send(i));
    for (int i = 0; i < 8; ++i) stacktide::go([] { ++started; });
    integer_after(kLasting, 0);
  }, callback.get());
  for (int i = 0; i < 8; ++i) RT_CHECK(values.recv() == i);
  wait_until([] { return started == 8; });
}

bool cleaning;  // plain: an atomic's functions have checks at -O0, and would yield

// Runs for `ticks` without any call, so it neither yields nor is in a library.
struct Cleanup {
  std::uint64_t ticks;
  ~Cleanup() {
    __atomic_store_n(&cleaning, true, __ATOMIC_SEQ_CST);
    const std::uint64_t start = __builtin_ia32_rdtsc();
    while (__builtin_ia32_rdtsc() - start < ticks) {
    }
    __atomic_store_n(&cleaning, false, __ATOMIC_SEQ_CST);
  }
};

[[gnu::noinline]] void throw_over_cleanup(std::uint64_t ticks) {
  const Cleanup cleanup{ticks};
  throw_after(0, 13);
}

// An exception ends the call that it leaves. If it did not, the monitor would take the P from a cleanup that lasts, and two goroutines would run on one P.
void test_cleanup() {
  const std::uint64_t start = __builtin_ia32_rdtsc();
  integer_after(kLasting, 0);
  const std::uint64_t ticks = __builtin_ia32_rdtsc() - start;
  wait_group others;
  others.add(1);
  stacktide::go([others]() mutable {
    RT_CHECK(max_procs() > 1 || !__atomic_load_n(&cleaning, __ATOMIC_SEQ_CST));
    others.done();
  });
  int caught = 0;
  try {
    throw_over_cleanup(ticks);
  } catch (int value) {
    caught = value;
  }
  RT_CHECK(caught == 13);
  others.wait();
}

void test_exceptions() {
  for (int round = 0; round < 4; ++round) {
    int caught = 0;
    try {
      throw_after(kLasting, 11);
    } catch (int value) {
      caught += value;
    }
    RT_CHECK(caught == 11);
    try {
      call_after(kLasting, [](void* argument) { throw *static_cast<int*>(argument); }, std::make_unique<int>(12).get());
    } catch (int value) {
      caught += value;
    }
    RT_CHECK(caught == 23);
    test_cleanup();
  }
}

// errno is the goroutine's, wherever it goes on.
void test_errno() {
  constexpr int kGoroutines = 16;
  wait_group finished;
  finished.add(kGoroutines);
  for (int i = 1; i <= kGoroutines; ++i) {
    stacktide::go([finished, i]() mutable {
      errno = i;
      for (int round = 0; round < 200; ++round) {
        stacktide::yield();
        RT_CHECK(errno == i);
        if (round % 20 == 0) {
          RT_CHECK(error_after(0, 100 + i) == -1);
          RT_CHECK(errno == 100 + i);
          stacktide::yield();
          RT_CHECK(errno == 100 + i);
          errno = i;
        }
        // A call that succeeds leaves it alone.
        RT_CHECK(integer_after(0, 3) == 3 && errno == i);
      }
      finished.done();
    });
  }
  finished.wait();
}

void test_locked_thread() {
  constexpr int kLocked = 3;
  wait_group finished;
  finished.add(kLocked + 20);
  std::vector<std::uint32_t> owned(kLocked);
  std::uint32_t* threads = owned.data();
  for (int i = 0; i < kLocked; ++i) {
    stacktide::go([finished, threads, i]() mutable {
      stacktide::lock_os_thread();
      const std::uint32_t mine = thread_id();
      __atomic_store_n(&threads[i], mine, __ATOMIC_SEQ_CST);
      for (int round = 0; round < 50; ++round) {
        stacktide::yield();
        RT_CHECK(thread_id() == mine);
        if (round % 10 == 0) stacktide::sleep_for(std::chrono::microseconds(100));
        if (round % 25 == 0) stacktide::blocking([] {});
        RT_CHECK(thread_id() == mine);
      }
      // Nested: one unlock is not enough.
      stacktide::lock_os_thread();
      stacktide::unlock_os_thread();
      stacktide::yield();
      RT_CHECK(thread_id() == mine);
      __atomic_store_n(&threads[i], 0, __ATOMIC_SEQ_CST);
      stacktide::unlock_os_thread();
      finished.done();
    });
  }
  for (int i = 0; i < 20; ++i) {
    stacktide::go([finished, threads]() mutable {
      for (int round = 0; round < 100; ++round) {
        const std::uint32_t here = thread_id();
        for (int j = 0; j < kLocked; ++j) RT_CHECK(__atomic_load_n(&threads[j], __ATOMIC_SEQ_CST) != here);
        stacktide::yield();
      }
      finished.done();
    });
  }
  finished.wait();
}

[[gnu::noinline]] void deep(int depth) {
  volatile char room[100];
  room[0] = static_cast<char>(depth);
  if (depth > 0) deep(depth - 1);
  RT_CHECK(room[0] == static_cast<char>(depth));
}

// A parked stack that is hardly used is halved without being asked, and the goroutine finds its locals there.
void test_shrink() {
  const char* policy = std::getenv("STACKTIDE_POLICY");
  if (std::getenv("STACKTIDE_SHRINK") != nullptr || (policy != nullptr && std::strcmp(policy, "segmented") == 0)) return;
  over = false;
  auto turn = stacktide::channel<int>::make();
  wait_group finished;
  finished.add(1);
  stacktide::go([turn, finished]() mutable {
    deep(30);
    const std::uint64_t grown = stacktide::stack_info().size;
    RT_CHECK(grown > 2048);
    while (stacktide::stack_info().shrinks == 0) RT_CHECK(turn.recv() == 1);
    RT_CHECK(stacktide::stack_info().size < grown);
    over = true;
    finished.done();
  });
  const auto end = Clock::now() + kPatience;
  while (!over) {
    RT_CHECK(Clock::now() < end);
    turn.try_send(1);
    stacktide::sleep_for(std::chrono::milliseconds(20));
  }
  finished.wait();
}

struct Test {
  const char* name;
  void (*run)();
};

constexpr Test kTests[] = {{"read", test_read},           {"mutex", test_mutex},         {"long_runners", test_long_runners},
                           {"results", test_results},     {"callbacks", test_callbacks}, {"exceptions", test_exceptions},
                           {"errno", test_errno},         {"locked_thread", test_locked_thread}, {"shrink", test_shrink}};

}  // namespace

int main(int argc, char** argv) {
  // When nothing runs any more, no goroutine can say so.
  alarm(2 * std::chrono::seconds(kPatience).count());
  for (const Test& test : kTests) {
    if (argc > 1 && std::strcmp(argv[1], test.name) != 0) continue;
    stacktide::run(test.run);
    std::printf("%s: right\n", test.name);
    std::fflush(stdout);
  }
  return 0;
}
