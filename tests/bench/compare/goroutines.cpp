// bench_compare: stacktide's side of compare.sh. See harness.h for how it is called.
#include <stacktide/runtime.h>

#include "benchmarks.h"
#include "harness.h"

namespace {

constexpr bench::Benchmark kBenchmarks[] = {
    {"yield", bench::yields, 2},
    {"spawn_exit", bench::spawns_alone, 1},
    {"spawn_exit_100", bench::spawns_together, bench::kTogether},
    {"spawn_exit_10000", bench::spawn_bursts, bench::kBurst},
    {"ping_pong", bench::ping_pongs, 1},
    {"buffered", bench::buffered, 1},
    {"fan_in", bench::fan_in, bench::kSenders},
    {"recurse_10", bench::recursions<10>, 1},
    {"recurse_100", bench::recursions<100>, 1},
    {"recurse_1000", bench::recursions<1000>, 1},
    {"recurse_10000", bench::recursions<10000>, 1},
    // The same code: the driver chooses the policy.
    {"grow_copy", bench::one_growth, 0},
    {"grow_link", bench::one_growth, 0},
    {"grow_longest", bench::longest_growth, 0},
    {"shrink", bench::shrinks, 0},
    {"boundary_contiguous", bench::boundary_calls, 1},
    {"boundary_segmented", bench::boundary_calls, 1},
    {"parked_bytes", bench::parked_bytes, 0},
    {"call_direct", bench::direct_calls, 1},
    {"call_inlined", bench::inlined_calls, 1},
    {"call_library", bench::library_calls, 1},
    {"call_library_c", bench::c_library_calls, 1},
    {"call_indirect", bench::indirect_calls, 1},
    {"thread_switch_same", bench::thread_switches_same, 2},
    {"thread_switch_other", bench::thread_switches_other, 2},
};

}  // namespace

int main(int argc, char** argv) {
  int status = 0;
  stacktide::run([=, &status] { status = bench::run_named(argc, argv, kBenchmarks); });
  return status;
}
