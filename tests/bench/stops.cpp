// bench_stops [TICKS]: what goroutines cost a debugger at each stop.
//
// LLDB continues from breakpoint to breakpoint in rt_stops, which times that itself: without goroutines as threads, and with
// 2,000 (the default limit) and 10,000 of them. GDB prints 1000 channels while none and 100,000 other goroutines wait.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "support/gdb.h"
#include "support/process.h"

using namespace stacktide::test;
using Clock = std::chrono::steady_clock;

namespace {

constexpr Timeout kLong{600'000};

// Microseconds from one breakpoint to the next.
double tick(int goroutines, int ticks, const std::string& threads) {
  std::vector<std::string> argv = {"lldb-19",
                                   "--batch",
                                   "--no-lldbinit",
                                   "-o",
                                   "plugin load " STACKTIDE_BUILD_DIR "/lib/stacktide_lldb.so",
                                   "-o",
                                   "breakpoint set --name tick",
                                   "-o",
                                   fmt::format("run {} {}", goroutines, ticks)};
  if (!threads.empty()) argv.insert(argv.end(), {"-o", "goroutine threads on " + threads});
  for (int i = 0; i <= ticks; ++i) argv.insert(argv.end(), {"-o", "continue"});
  argv.push_back(test_program("rt_stops_O2"));
  const auto out = run(argv, kLong).out;
  const auto at = out.find(" us a tick");
  if (at == std::string::npos) throw std::runtime_error(out);
  const auto begin = out.rfind('\n', at) + 1;
  return std::strtod(out.c_str() + begin, nullptr);
}

// Seconds that GDB takes to print 1000 channels, once it has printed one.
double print_many(const std::string& crowd) {
  auto child = Child::start({test_program("rt_handles_O2"), crowd}, {.env = {"STACKTIDE_MAXPROCS=1"}, .folder = {}});
  child.wait_for_line("ready", kLong);
  const GdbSession gdb({"print handles->buffered", "python import time; start = time.time()", "set print elements 0",
                        "set print repeats 0", "print handles->many", "python print('%.6f' % (time.time() - start))"},
                       {.arguments = {"-p", std::to_string(child.pid())}, .timeout = kLong});
  if (gdb.at(4).find("channel<int> len 2 cap 8 = {7, 11}, channel<int>") == std::string::npos)
    throw std::runtime_error(gdb.all());
  return std::strtod(gdb.at(5).c_str(), nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  const int ticks = argc > 1 ? std::atoi(argv[1]) : 6;
  const double without = tick(10'000, ticks, "");
  std::printf("LLDB, 10,000 goroutines, from one breakpoint to the next (two stops):\n");
  std::printf("  no threads       %9.0f us\n", without);
  for (const char* limit : {"2000", "10000"}) {
    const double with = tick(10'000, ticks, limit);
    std::printf("  %5s threads    %9.0f us, %.0f times\n", limit, with, with / without);
  }
  const double alone = print_many("0");
  const double crowded = print_many("100000");
  std::printf("GDB, 1000 channels printed: %.3f s; while 100,000 other goroutines wait %.3f s, %.2f times\n", alone, crowded,
              crowded / alone);
}
