// bench_trace [GROWTHS [ROUNDS]]: what a live trace costs the program, under GDB and under LLDB.
//
// The same program (tests/programs/trace_load) runs untraced, traced, and traced with one breakpoint per event, in turns,
// each time under a debugger that is loaded the same way; it measures itself, from the first goroutine to the last, so that
// the debugger's own start does not count. Medians and their ratios are printed. One breakpoint per event is so slow that it
// gets 1/20 of the events (1/100 in LLDB), and its time is multiplied; `goroutine trace` uses it where a runtime has no
// other hook, so that run has a copy of the program in which the hook of half-full rings has another name.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "support/two_debuggers.h"

using namespace stacktide::test;

namespace {

struct Run {
  double microseconds = 0;
  long events = 0;
  std::string totals;  // the trace's last line
};

long number_after(const std::string& text, const std::string& words) {
  const auto at = text.find(words);
  return at == std::string::npos ? -1 : std::strtol(text.c_str() + at + words.size(), nullptr, 10);
}

Run run_once(Debugger debugger, const std::string& program, long growths, bool traced) {
  std::vector<std::string> script = {"@environment STACKTIDE_SHRINK=off"};
  if (traced) script.emplace_back("goroutine trace on");
  script.push_back(fmt::format("@run {}", growths));
  if (traced) script.emplace_back("goroutine trace show --limit 1");
  const auto session = run_script(debugger, program, script);
  Run run;
  run.events = number_after(session.printed, "counted ");
  run.microseconds = static_cast<double>(number_after(session.printed, "in "));
  if (traced) run.totals = lines_of(session.blocks.back()).back();
  if (run.events < growths || run.microseconds <= 0) {
    std::fprintf(stderr, "bench_trace: the run under %s failed\n%.2000s\n", name_of(debugger), session.all.c_str());
    std::exit(1);
  }
  return run;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const long growths = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 100'000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  const TempDir folder;
  const auto program = test_program("trace_load_O2");
  const auto per_event = with_event_hook_only(folder, program);
  fmt::print("{} growths, {} rounds; microseconds per growth, as the program measures itself\n", growths, rounds);
  fmt::print("{:<6} {:>10} {:>10} {:>7} {:>14} {:>7}\n", "", "untraced", "traced", "ratio", "stop per event", "ratio");
  for (const auto debugger : {Debugger::gdb, Debugger::lldb}) {
    const long fewer = std::max(1000L, growths / (debugger == Debugger::gdb ? 20 : 100));
    std::map<std::string, std::vector<double>> times;
    Run traced;
    for (int round = 0; round < rounds; ++round) {
      const auto plain = run_once(debugger, program, growths, false);
      times["untraced"].push_back(plain.microseconds / static_cast<double>(plain.events));
      traced = run_once(debugger, program, growths, true);
      times["traced"].push_back(traced.microseconds / static_cast<double>(traced.events));
      const auto slow = run_once(debugger, per_event, fewer, true);
      times["per event"].push_back(slow.microseconds / static_cast<double>(slow.events));
    }
    const double base = median(times["untraced"]);
    fmt::print("{:<6} {:>10.2f} {:>10.2f} {:>7.2f} {:>14.1f} {:>7.0f}   {}\n", name_of(debugger), base,
               median(times["traced"]), median(times["traced"]) / base, median(times["per event"]),
               median(times["per event"]) / base, traced.totals);
  }
}
