// bench_prompt [GOROUTINES [ROUNDS]]: how long a person waits at a debugger's prompt.
//
// samples/park with 100,000 goroutines. Each debugger attaches, and times, in its own Python, the first list (modules,
// descriptor and records are read for it), a list that folds nothing, and selecting a goroutine with a backtrace. Beside it
// what the command line takes for the same list, as a floor. Medians of the rounds; ratios to the floor.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/park.h"

using namespace stacktide::test;

namespace {

using Seconds = std::map<std::string, std::vector<double>>;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.empty() ? 0 : values[values.size() / 2];
}

// What a session printed as "timed NAME SECONDS".
void collect(const std::string& text, const std::string& host, Seconds& seconds) {
  for (const auto& line : lines_of(text)) {
    const auto at = line.find("timed ");
    if (at != 0) continue;
    const auto space = line.rfind(' ');
    seconds[host + " " + line.substr(6, space - 6)].push_back(std::atof(line.c_str() + space));
  }
}

// Steps by name: the commands that are timed together.
const std::vector<std::pair<std::string, std::vector<std::string>>> kSteps = {
    {"first list", {"goroutine list"}},
    {"list again", {"goroutine list --all"}},
    {"select and bt", {"goroutine 50000", "bt"}},
    {"stack", {"goroutine stack 50000"}},
};

std::vector<std::string> timed(const std::string& prefix, const std::string& execute) {
  std::vector<std::string> lines = {prefix + "import time"};
  for (const auto& [name, commands] : kSteps) {
    lines.push_back(prefix + "began = time.monotonic()");
    for (const auto& command : commands) lines.push_back(fmt::format("{}{}(\"{}\")", prefix, execute, command));
    lines.push_back(fmt::format("{}print(\"timed {} %.6f\" % (time.monotonic() - began))", prefix, name));
  }
  return lines;
}

double list_of_the_command_line(const std::string& pid) {
  const auto began = std::chrono::steady_clock::now();
  const auto output = run({cli_program(), "list", "--pid", pid});
  if (output.exit_code != 0) {
    std::fprintf(stderr, "bench_prompt: %s\n", output.err.c_str());
    std::exit(1);
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace

int main(int argc, char** argv) {
  const int goroutines = argc > 1 ? std::atoi(argv[1]) : 100'000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
  if (goroutines < 50'000 || rounds < 1) {
    std::fprintf(stderr, "bench_prompt [GOROUTINES [ROUNDS]]: at least 50000 goroutines\n");
    return 2;
  }
  Park park(goroutines);
  const auto pid = std::to_string(park.child.pid());
  Seconds seconds;
  for (int i = 0; i < rounds; ++i) {
    seconds["shell list"].push_back(list_of_the_command_line(pid));
    const GdbSession gdb(timed("python ", "text = gdb.execute"), {.arguments = {"-p", pid}});
    collect(gdb.all(), "gdb", seconds);
    auto script = timed("script ", "text = lldb.debugger.HandleCommand");
    script.insert(script.begin(), "process attach --pid " + pid);
    collect(lldb(script).out, "lldb", seconds);
  }
  const auto floor = median(seconds["shell list"]);
  std::printf("%d goroutines, medians of %d rounds; ratio to the command line's list\n", goroutines, rounds);
  for (const auto& [name, values] : seconds)
    std::printf("%-20s %8.3f s  %6.2f\n", name.c_str(), median(values), median(values) / floor);
  return 0;
}
