// A MOVABLE program in which one function holds a std::map: its stack grows by linking below that function, and by copying
// everywhere else.
//
// It says `ready` and waits for the end of its input; tests/e2e/stack_walks_test.cpp looks at both goroutines.
#include <unistd.h>

#include <map>

#include "rt_support.h"

using Channel = stacktide::channel<int>;

[[gnu::noinline]] long deep(int levels, Channel release) {
  volatile char room[300];
  room[0] = 1;
  if (levels > 0) return deep(levels - 1, release) + room[0];
  release.recv();
  return room[0];
}

[[gnu::noinline]] long holds_a_map(Channel release) {
  std::map<int, int> counts;
  for (int i = 0; i < 50; ++i) counts[i * 7 % 50] = i;
  const long result = deep(8, release);
  int last = -1;
  for (const auto& [key, value] : counts) {
    RT_CHECK(key == last + 1 && value * 7 % 50 == key);
    last = key;
  }
  return result + static_cast<long>(counts.size());
}

[[gnu::noinline]] long holds_numbers(Channel release) {
  long counts[50];
  for (int i = 0; i < 50; ++i) counts[i * 7 % 50] = i;
  const long result = deep(8, release);
  for (int i = 0; i < 50; ++i) RT_CHECK(counts[i * 7 % 50] == i);
  return result + 50;
}

int main() {
  stacktide::run([] {
    auto release = Channel::make();
    stacktide::wait_group finished;
    finished.add(2);
    for (const auto function : {holds_a_map, holds_numbers}) {
      stacktide::go([function, release, finished]() mutable {
        RT_CHECK(function(release) == 59);
        finished.done();
      });
    }
    while (release.waiting() < 2) stacktide::yield();
    stacktide::blocking([] {
      std::puts("ready");
      std::fflush(stdout);
      for (char byte = 0; read(STDIN_FILENO, &byte, 1) > 0;) {
      }
    });
    release.close();
    finished.wait();
  });
  std::puts("right");
}
