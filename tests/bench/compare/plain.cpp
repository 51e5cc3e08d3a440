// bench_compare_plain: calls.cpp as ordinary C++, without stack checks.
#include "benchmarks.h"
#include "harness.h"

int main(int argc, char** argv) {
  constexpr bench::Benchmark kBenchmarks[] = {
      {"call_direct", bench::direct_calls, 1},     {"call_inlined", bench::inlined_calls, 1},
      {"call_library", bench::library_calls, 1},   {"call_library_c", bench::c_library_calls, 1},
      {"call_indirect", bench::indirect_calls, 1},
  };
  return bench::run_named(argc, argv, kBenchmarks);
}
