// One goroutine that leaves its stack in every way there is, for a test that steps it instruction by instruction.
//
//   rt_step
//
// It waits for its input, and below kLevels calls of level() calls ways(), one function for each way, and last finish(). Run
// it with STACKTIDE_MAXPROCS=1: the others then run when this goroutine yields or loses its P, and at no other time. Not in
// an unnamed namespace, so that every tool finds the names.
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>

#include "rt_support.h"

constexpr int kLevels = 5;

std::atomic<long> turns = 0;  // of other()
int waited_for[2];            // a pipe that answer() writes to

// A turn of other(), once it is asked and gets the P.
stacktide::channel<int>& asked() {
  static auto* const channel = new stacktide::channel<int>(stacktide::channel<int>::make(1));
  return *channel;
}

[[gnu::noinline]] int checked(int value) { return value + 1; }
int (*volatile through_pointer)(int) = &checked;
pid_t (*volatile through_pointer_to_library)() = &getppid;

[[gnu::noinline]] void narrow() { RT_CHECK(getppid() > 0); }

[[gnu::noinline]] void wide() {
  char text[64];
  const int n = std::snprintf(text, sizeof text, "%d %d %d %d %d %d %d %d", 1, 2, 3, 4, 5, 6, 7, 8);
  RT_CHECK(n == 15 && text[14] == '8');
}

[[gnu::noinline]] void indirect() {
  RT_CHECK(through_pointer_to_library() > 0);
  RT_CHECK(through_pointer(1) == 2);
}

[[gnu::noinline]] void error_number() {
  errno = 0;
  RT_CHECK(close(-1) == -1 && errno == EBADF);
}

[[gnu::noinline]] void runtime_call() { RT_CHECK(stacktide::goroutine_id() == 3); }

[[gnu::noinline]] void yields() {
  asked().send(1);
  stacktide::yield();
  RT_CHECK(turns.load() >= 0);
}

// Frames that do not fit: the stack is copied, or a segment linked and given back.
[[gnu::noinline]] int grows(int depth) {
  volatile char room[700];
  room[0] = static_cast<char>(depth);
  const int below = depth == 0 ? 0 : grows(depth - 1);
  RT_CHECK(room[0] == static_cast<char>(depth));
  return below + 1;
}

// The same with variable arguments, whose prologue has an instruction more.
[[gnu::noinline]] int sums(int count, ...) {
  volatile char room[3000];
  room[0] = 1;
  std::va_list values;
  va_start(values, count);
  int sum = room[0] - 1;
  for (int i = 0; i < count; ++i) sum += va_arg(values, int);
  va_end(values);
  return sum;
}

// The same while registers are in use that XSAVE alone saves: upper halves of vectors.
[[gnu::noinline]] int large() {
  volatile char room[12000];
  room[0] = 1;
  return room[0];
}
[[gnu::noinline]] void vectors() {
  if (__builtin_cpu_supports("avx")) asm volatile("vcmptrueps %ymm15, %ymm15, %ymm15");
  RT_CHECK(large() == 1);
  if (__builtin_cpu_supports("avx")) asm volatile("vzeroupper");
}

[[gnu::noinline]] void variadic() { RT_CHECK(sums(7, 1, 2, 3, 4, 5, 6, 7) == 28); }

// Callbacks of library code: the same calls on the thread's own stack.
[[gnu::noinline]] void on_the_system_stack() {
  stacktide::on_system_stack([] {
    narrow();
    wide();
    indirect();
    error_number();
    runtime_call();
  });
  RT_CHECK(turns.load() >= 0);
}

void answer() { RT_CHECK(write(waited_for[1], "x", 1) == 1); }

// The P is taken away: nobody else could write.
[[gnu::noinline]] void lasts() {
  stacktide::go(answer);
  char byte = 0;
  RT_CHECK(read(waited_for[0], &byte, 1) == 1 && byte == 'x');
}

[[gnu::noinline]] void preempted() {
  const long before = turns.load();
  int calls = 0;
  asked().send(1);
  do calls = checked(calls);
  while (turns.load() == before);
  RT_CHECK(calls > 0);
}

[[gnu::noinline]] void finish() { asm volatile(""); }

[[gnu::noinline]] int ways() {
  narrow();
  wide();
  indirect();
  error_number();
  runtime_call();
  yields();
  RT_CHECK(grows(3) == 4);
  variadic();
  vectors();
  on_the_system_stack();
  lasts();
  preempted();
  finish();
  return 0;
}

[[gnu::noinline]] int level(int depth) {
  volatile int here = depth;
  const int result = depth > 0 ? level(depth - 1) : ways();
  RT_CHECK(here == depth);
  return result;
}

void other() {
  while (asked().recv()) turns.fetch_add(1);
}

void entry(stacktide::wait_group finished) {
  char byte = 0;
  RT_CHECK(read(STDIN_FILENO, &byte, 1) == 1);
  RT_CHECK(level(kLevels - 1) == 0);
  asked().close();
  finished.done();
}

int main() {
  if (pipe(waited_for) != 0) return 2;
  stacktide::run([] {
    stacktide::wait_group finished;
    finished.add(1);
    stacktide::go(other);
    stacktide::yield();  // until it waits: nobody else is runnable then
    stacktide::go(entry, finished);
    std::puts("ready");
    std::fflush(stdout);
    finished.wait();
  });
}
