// bench_record [ROUNDS [NAME]]: what recording costs the program that is recorded.
//
// Each program runs without and with STACKTIDE_TRACE in turns and measures itself, so that its start and the file's removal
// do not count. Printed are the medians and the median of the ratios of the pairs, by the program's clock and by the
// processor time of all its threads, the recorder's own among them. The aim: growths below 1.10, yields below 1.01.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sys/resource.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "support/core_dump.h"
#include "support/process.h"

using namespace stacktide::test;

namespace {

struct Run {
  double wall = 0;  // microseconds, as the program says
  double cpu = 0;   // microseconds
};

double microseconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
}

Run run_once(const std::vector<std::string>& command, const std::string& trace) {
  std::filesystem::remove(trace);
  int out[2];
  if (pipe(out) != 0) std::exit(1);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(out[1], STDOUT_FILENO);
    close(out[0]);
    close(out[1]);
    setenv("STACKTIDE_SHRINK", "off", 1);
    if (!trace.empty()) setenv("STACKTIDE_TRACE", trace.c_str(), 1);
    std::vector<char*> words;
    for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    execv(words[0], words.data());
    _exit(127);
  }
  close(out[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(out[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
  close(out[0]);
  int status = 0;
  rusage used{};
  wait4(pid, &status, 0, &used);
  const auto at = text.rfind("in ");
  if (status != 0 || at == std::string::npos) {
    std::fprintf(stderr, "bench_record: %s failed\n", command.front().c_str());
    std::exit(1);
  }
  return {std::strtod(text.c_str() + at + 3, nullptr), microseconds(used.ru_utime) + microseconds(used.ru_stime)};
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  const TempDir folder;
  const auto trace = folder.path() + "/t.stt";
  struct Load {
    const char* name;
    std::vector<std::string> command;
    double per;  // things that happen
  };
  const std::vector<Load> loads = {
      {"growths", {test_program("record_load_O2"), "growths", "100000"}, 500'000},
      {"growths of short-lived goroutines", {test_program("trace_load_O2"), "500000"}, 500'000},
      {"yields", {test_program("record_load_O2"), "yields", "5000000"}, 10'000'000},
      {"waits", {test_program("record_load_O2"), "waits", "300000"}, 600'000},
      {"spawns", {test_program("record_load_O2"), "spawns", "300000"}, 300'000},
  };
  fmt::print("{} pairs; ns for each, and ratios of the pairs: wall time, processor time\n", rounds);
  for (const auto& load : loads) {
    if (argc > 2 && std::string(load.name).find(argv[2]) == std::string::npos) continue;
    std::vector<double> plain;
    std::vector<double> recorded;
    std::vector<double> wall;
    std::vector<double> cpu;
    for (int i = 0; i < rounds; ++i) {
      const auto without = run_once(load.command, "");
      const auto with = run_once(load.command, trace);
      plain.push_back(without.wall * 1000 / load.per);
      recorded.push_back(with.wall * 1000 / load.per);
      wall.push_back(with.wall / without.wall);
      cpu.push_back(with.cpu / without.cpu);
    }
    fmt::print("{:<34} {:>8.1f} {:>8.1f} {:>8.3f} {:>8.3f}\n", load.name, median(plain), median(recorded), median(wall),
               median(cpu));
  }
}
