// bench_maps [ROUNDS]: what stack maps cost when stacks are copied, and what they save.
//
// A fresh goroutine recurses, so that its stack grows from 2 KiB; once with STACKTIDE_ADJUST=maps, once with scan. The
// setting is the process's, so the program starts itself again for each measurement, in turns, and prints medians and their
// ratio.
#include <stacktide/channel.h>
#include <stacktide/runtime.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

struct Case {
  const char* name;
  const char* what;
  int (*recurse)(int depth, const int* first);
  int depth;
  int goroutines;  // a measurement
};

// The plainest frame: a few words.
[[gnu::noinline]] int plain(int depth, const int* first) {
  volatile int local = depth;
  if (depth == 0) return *first;
  return plain(depth - 1, first) + (local - depth);
}

// Pointers and numbers, as code has them.
[[gnu::noinline]] int mixed(int depth, const int* first) {
  struct {
    const int* above;
    long numbers[6];
  } locals{first, {1, 2, 3, 4, 5, depth}};
  asm volatile("" : : "r"(&locals) : "memory");
  if (depth == 0) return *first;
  return mixed(depth - 1, &depth) - depth + 1 + static_cast<int>(locals.numbers[5]) - depth + *locals.above - *locals.above;
}

// 4 KiB of numbers, which only a map can tell from pointers.
[[gnu::noinline]] int scalars(int depth, const int* first) {
  double numbers[512];
  asm volatile("" : : "r"(numbers) : "memory");
  numbers[0] = depth;
  asm volatile("" : : "r"(numbers) : "memory");
  if (depth == 0) return *first;
  return scalars(depth - 1, first) + static_cast<int>(numbers[0]) - depth;
}

constexpr Case kCases[] = {
    {"plain_1000", "recursion 1000 deep, small frames", plain, 1000, 200},
    {"mixed_1000", "recursion 1000 deep, pointers and numbers", mixed, 1000, 200},
    {"scalars_200", "recursion 200 deep, frames of 4 KiB of numbers", scalars, 200, 40},
};

// Nanoseconds for each goroutine. The stacks are given back between goroutines: each grows anew.
double measure(const Case& c) {
  double nanoseconds = 0;
  stacktide::run([&c, &nanoseconds] {
    auto done = stacktide::channel<int>::make();
    const auto once = [&c, done] {
      stacktide::go([&c, done]() mutable {
        const int first = 1;
        done.send(c.recurse(c.depth, &first));
      });
      done.recv();
    };
    for (int i = 0; i < 10; ++i) once();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < c.goroutines; ++i) once();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    nanoseconds = took.count() / c.goroutines;
  });
  return nanoseconds;
}

// This program again, with one setting: its measurement, or -1.
double measure_as(const char* self, const char* adjust, const char* name) {
  setenv("STACKTIDE_ADJUST", adjust, 1);
  setenv("STACKTIDE_MAXPROCS", "1", 1);
  std::FILE* pipe = popen((std::string(self) + " --measure " + name).c_str(), "r");
  double value = -1;
  if (pipe == nullptr) return value;
  if (std::fscanf(pipe, "%lf", &value) != 1) value = -1;
  return pclose(pipe) == 0 ? value : -1;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--measure") == 0) {
    for (const Case& c : kCases) {
      if (std::strcmp(argv[2], c.name) == 0) std::printf("%.1f\n", measure(c));
    }
    return 0;
  }
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  if (rounds < 1) {
    std::fprintf(stderr, "bench_maps: wants a number of rounds, as in: bench_maps 15\n");
    return 2;
  }
  std::printf("%-48s %12s %12s %8s\n", "", "maps", "scan", "ratio");
  for (const Case& c : kCases) {
    std::vector<double> maps;
    std::vector<double> scan;
    std::vector<double> ratios;
    for (int i = 0; i < rounds; ++i) {
      maps.push_back(measure_as(argv[0], "maps", c.name));
      scan.push_back(measure_as(argv[0], "scan", c.name));
      if (maps.back() < 0 || scan.back() < 0) return 1;
      ratios.push_back(maps.back() / scan.back());
    }
    std::printf("%-48s %9.2f us %9.2f us %8.2f\n", c.what, median(maps) / 1000, median(scan) / 1000, median(ratios));
  }
}
