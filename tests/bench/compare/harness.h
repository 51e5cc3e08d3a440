// One round of one named benchmark, as every C++ side of compare.sh runs it: `PROGRAM NAME [MILLISECONDS]` prints
// "NAME<tab>VALUE", `PROGRAM --list` the names. main.go does the same.
//
// A benchmark that repeats gets the number of times to do its unit, and returns what that took. It is called with growing
// numbers first, which warms it up, until one call takes a fourth of the wanted time; then once more with the number that
// takes the wanted time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

namespace bench {

using Clock = std::chrono::steady_clock;

inline double since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

struct Benchmark {
  const char* name;
  double (*measure)(long n);  // nanoseconds for n units
  long per_unit;              // operations in a unit; 0: measure(0) is called once and returns the value itself
};

inline double one_round(const Benchmark& benchmark, double wanted) {
  if (benchmark.per_unit == 0) return benchmark.measure(0);
  long n = 1;
  double took = benchmark.measure(n);
  while (took < wanted / 4) {
    n = static_cast<long>(static_cast<double>(n) * std::clamp(wanted / took, 2.0, 10.0));
    took = benchmark.measure(n);
  }
  n = std::max(1L, static_cast<long>(static_cast<double>(n) * wanted / took));
  return benchmark.measure(n) / static_cast<double>(n) / static_cast<double>(benchmark.per_unit);
}

// The exit status. Without milliseconds, 100.
inline int run_named(int argc, char** argv, std::span<const Benchmark> benchmarks) {
  const char* name = argc > 1 ? argv[1] : "";
  const double wanted = (argc > 2 ? std::atof(argv[2]) : 100) * 1e6;
  for (const Benchmark& benchmark : benchmarks) {
    if (std::strcmp(name, "--list") == 0) {
      std::printf("%s\n", benchmark.name);
    } else if (std::strcmp(name, benchmark.name) == 0) {
      std::printf("%s\t%.3f\n", name, one_round(benchmark, wanted));
      return 0;
    }
  }
  if (std::strcmp(name, "--list") == 0) return 0;
  std::fprintf(stderr, "%s: no benchmark '%s'; --list names them\n", argv[0], name);
  return 2;
}

// Bytes of this process that are in memory.
inline double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  long pages = 0;
  if (file == nullptr || std::fscanf(file, "%*d %ld", &pages) != 1) std::abort();
  std::fclose(file);
  return static_cast<double>(pages) * 4096;
}

}  // namespace bench
