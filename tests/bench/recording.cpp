// bench_recording [EVENTS [FILE]]: what `stacktide trace` costs on a long recording.
//
// A trace of ten million events of mixed kinds, in four lanes and 100,000 goroutines, is written to FILE (or a temporary
// one); then the real program summarizes, shows, compares and exports it, and takes advice from it. Seconds and peak memory
// are those that the kernel counted for the child (wait4); the file is in the page cache, as it is after a run.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/trace_writer.h"

using namespace stacktide::test;

namespace {

constexpr std::uint64_t kGoroutines = 100'000;
constexpr std::uint32_t kChains = 500;
constexpr std::uint16_t kLanes = 4;
constexpr std::uint64_t kCode = 0x400000;

void write_symbols(TraceWriter& writer) {
  for (std::uint32_t i = 0; i < kChains; ++i) {
    std::vector<std::uint64_t> pcs;
    for (std::uint32_t depth = 0; depth < STACKTIDE_TRACE_DEPTH; ++depth)
      pcs.push_back(kCode + (i % (kChains >> depth)) * 64 + depth * 0x10000);
    writer.chain(i + 1, pcs);
    for (std::uint32_t depth = 0; depth < STACKTIDE_TRACE_DEPTH; ++depth)
      writer.symbol(pcs[depth], false, fmt::format("service::function_{}_{}", depth, i % (kChains >> depth)),
                    fmt::format("/src/service/part_{}.cpp", depth), i + 1);
  }
  for (std::uint32_t i = 0; i < 20; ++i)
    writer.symbol(kCode + 0x100000 + i * 64, true, fmt::format("service::worker_{}", i), "/src/service/workers.cpp", i + 1);
}

void write_trace(const std::string& path, std::uint64_t events) {
  TraceWriter writer(path, 65536);
  writer.header.started = 1;
  writer.text(STACKTIDE_TRACE_COMMAND, 1, 0, 0, "./service");
  writer.text(STACKTIDE_TRACE_NAME, 1, 0, 1, "chan receive");
  write_symbols(writer);
  std::mt19937_64 random(42);
  std::uint64_t spawned = 0;
  for (std::uint64_t i = 0; i < events; ++i) {
    const auto time = static_cast<std::int64_t>(1000 + i * 100);
    const auto lane = static_cast<std::uint16_t>(random() % kLanes);
    const auto chain = static_cast<std::uint32_t>(random() % kChains + 1);
    // The first event of a goroutine is its spawn; these are spread over the first half of the trace.
    if (spawned < kGoroutines && i * 2 * kGoroutines >= spawned * events) {
      ++spawned;
      writer.add(lane, STACKTIDE_TRACE_SPAWN,
                 stacktide_trace_spawn{{0, 0, 0, chain, time, spawned}, 1, kCode + 0x100000 + spawned % 20 * 64, 0, 2048});
      continue;
    }
    const auto goroutine = random() % spawned + 1;
    const auto used = static_cast<std::uint32_t>(random() % 4000);
    const auto duration = static_cast<std::uint32_t>(random() % 3000);
    const auto stack = [&](std::uint8_t kind, std::uint32_t old_size, std::uint32_t new_size, std::uint8_t flags = 0) {
      writer.add(lane, kind,
                 stacktide_trace_stack{{0, flags, 0, chain, time, goroutine}, old_size, new_size, used, duration, 9, 0});
    };
    switch (random() % 10) {
      case 0:
        stack(STACKTIDE_TRACE_GROW, 2048, 4096);
        break;
      case 1:
        stack(STACKTIDE_TRACE_SHRINK, 4096, 2048);
        break;
      case 2:
        stack(STACKTIDE_TRACE_LINK, 4096, 8192, random() % 2 != 0 ? STACKTIDE_TRACE_HOT : 0);
        break;
      case 3:
        stack(STACKTIDE_TRACE_RELEASE, 8192, 4096);
        break;
      case 4:
      case 5:
      case 6:
        writer.add(lane, STACKTIDE_TRACE_PARK, stacktide_trace_park{{0, 0, 0, chain, time, goroutine}, used, 1, 0, 0});
        break;
      default:
        writer.add(lane, STACKTIDE_TRACE_READY, stacktide_trace_ready{{0, 0, 0, 0, time, goroutine}, 1});
        break;
    }
  }
  writer.text(STACKTIDE_TRACE_END, static_cast<std::int64_t>(2000 + events * 100), 0, 0, "exit");
}

void measure(const std::string& what, std::vector<std::string> words) {
  words.insert(words.begin(), cli_program());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) {
    const int null = open("/dev/null", O_WRONLY);
    dup2(null, STDOUT_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fmt::print(stderr, "bench_recording: {} failed\n", what);
    std::exit(1);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  fmt::print("{:<18} {:>7.2f} s {:>7.2f} s of CPU {:>7.0f} MB\n", what, took.count(),
             seconds(usage.ru_utime) + seconds(usage.ru_stime), static_cast<double>(usage.ru_maxrss) / 1024);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t events = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000;
  const TempDir folder;
  const std::string path = argc > 2 ? argv[2] : folder / "t.stt";
  write_trace(path, events);
  fmt::print("{} events, {} goroutines, {} lanes, {:.0f} MB\n", events, kGoroutines, kLanes,
             static_cast<double>(std::filesystem::file_size(path)) / 1e6);
  measure("summary", {"trace", "summary", path});
  measure("summary --json", {"trace", "summary", path, "--json"});
  measure("show", {"trace", "show", path});
  measure("advise", {"trace", "advise", path});
  measure("diff", {"diff", path, path});
  for (const auto* format : {"jsonl", "perfetto", "pprof"})
    measure(fmt::format("export {}", format), {"trace", "export", path, "--format", format});
}
