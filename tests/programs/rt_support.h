// What the rt_* programs share: a check that ends the program, and a sweep that puts the end of a stack at every place of a
// test.
//
// These programs are goroutine code that looks at itself: each exits 0 when all that it computed was right, and 1 with a
// line on stderr that says what was wrong. tests/programs/CMakeLists.txt builds them at several levels of optimisation and
// runs them under several settings.
#pragma once

#include <stacktide/channel.h>
#include <stacktide/runtime.h>
#include <stacktide/sync.h>

#include <cstdio>
#include <cstdlib>
#include <initializer_list>

#include "rt_profiler.h"

namespace rt {

[[noreturn, gnu::noinline]] inline void fail(const char* file, int line, const char* what) {
  std::fprintf(stderr, "%s:%d: wrong: %s\n", file, line, what);
  std::fflush(stderr);
  std::_Exit(1);
}

#define RT_CHECK(condition) ((condition) ? void() : ::rt::fail(__FILE__, __LINE__, #condition))

// Calls f below `depth` more frames.
template <class F>
[[gnu::noinline]] void below(int depth, F& f) {
  volatile char room[40];
  room[0] = static_cast<char>(depth);
  if (depth > 0) {
    below(depth - 1, f);
  } else {
    f();
  }
  RT_CHECK(room[0] == static_cast<char>(depth));
}

struct Test {
  const char* name;
  void (*run)();
};

inline constexpr int kDepths = 28;

// Runs each test below 0 to kDepths - 1 frames, each in a goroutine of its own, so that its stack ends at another call each
// time. Names of tests on the command line run those alone.
inline int run_tests(int argc, char** argv, std::initializer_list<Test> tests) {
  const auto wanted = [&](const Test& test) {
    bool named = argc < 2;
    for (int i = 1; i < argc; ++i) named = named || std::string_view(argv[i]) == test.name;
    return named;
  };
  for (const Test& test : tests) {
    if (!wanted(test)) continue;
    stacktide::run([run = test.run] {
      stacktide::wait_group finished;
      finished.add(kDepths);
      for (int depth = 0; depth < kDepths; ++depth) {
        stacktide::go([run, depth, finished]() mutable {
          below(depth, *run);
          finished.done();
        });
      }
      finished.wait();
    });
    std::printf("%s: right\n", test.name);
  }
  return 0;
}

}  // namespace rt
