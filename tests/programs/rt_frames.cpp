// A goroutine that stops deep in its recursion, for debuggers to look at: in abort(), in read(), or anywhere on the way
// while its stack grows.
//
//   rt_frames abort|read|grow
//
// level() calls itself kLevels times; entry() is the goroutine's function. Not in an unnamed namespace: LLDB 19 loses such
// names at -O2.
#include <unistd.h>

#include <cstring>
#include <string_view>

#include "rt_support.h"

constexpr int kLevels = 30;

[[gnu::noinline]] int bottom(std::string_view how) {
  if (how == "abort") std::abort();
  char byte = 0;
  if (how == "read") return read(STDIN_FILENO, &byte, 1) == 0 ? 1 : 2;
  return 1;
}

[[gnu::noinline]] int level(int depth, std::string_view how, const int* first) {
  volatile char room[100];
  room[0] = static_cast<char>(depth);
  const int result = depth == 0 ? bottom(how) : level(depth - 1, how, first);
  RT_CHECK(room[0] == static_cast<char>(depth) && *first == 7);
  return result;
}

[[gnu::noinline]] void entry(std::string_view how, stacktide::channel<int> finished) {
  const int first = 7;
  const int result = level(kLevels, how, &first);
  finished.send(result);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  int result = 0;
  stacktide::run([&result, how = std::string_view(argv[1])] {
    if (how == "read") {
      std::puts("ready");
      std::fflush(stdout);
    }
    auto finished = stacktide::channel<int>::make();
    stacktide::go(entry, how, finished);
    result = *finished.recv();
  });
  return result == 1 ? 0 : 1;
}
