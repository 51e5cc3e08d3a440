// errno belongs to the goroutine: it survives a park that lets others fail, and a move to another thread.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "rt_support.h"

namespace {

// The compiler keeps the address that __errno_location() gave over the calls in between, so it must not be a thread's.
[[gnu::noinline]] void fail_in_turns(int wanted) {
  for (int round = 0; round < 200; ++round) {
    errno = 0;
    if (wanted == EBADF) RT_CHECK(::close(-1) == -1);
    else RT_CHECK(::open("/nowhere/at/all", O_RDONLY) == -1);
    RT_CHECK(errno == wanted);
    stacktide::yield();
    RT_CHECK(errno == wanted);
    errno = wanted + 1000;
    stacktide::yield();
    RT_CHECK(errno == wanted + 1000);
  }
}

void errno_of_goroutines() {
  stacktide::wait_group finished;
  finished.add(8);
  for (int i = 0; i < 8; ++i) {
    stacktide::go([i, finished]() mutable {
      fail_in_turns(i % 2 == 0 ? EBADF : ENOENT);
      finished.done();
    });
  }
  finished.wait();
}

}  // namespace

int main(int argc, char** argv) { return rt::run_tests(argc, argv, {{"errno_of_goroutines", errno_of_goroutines}}); }
