// The plugin in a real LLDB on a live process.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <string>

#include "support/lldb.h"
#include "support/park.h"
#include "support/process.h"

using namespace stacktide::test;

namespace {

// samples/park with goroutine 1 (main's) in a library call and 2.. parked at depths 0..31.
Child parked(int goroutines) {
  Child child = Child::start({sample_program("park"), std::to_string(goroutines)});
  wait_until_parked(child);
  return child;
}

std::string attach(const Child& child) { return "process attach --pid " + std::to_string(child.pid()); }

std::string cli(const Child& child, std::vector<std::string> words) {
  words.insert(words.begin(), cli_program());
  words.insert(words.end(), {"--pid", std::to_string(child.pid())});
  return run(words).out;
}

}  // namespace

TEST_CASE("goroutine list shows what the command line shows") {
  Child child = parked(40);
  const std::string expected = cli(child, {"list"});
  const auto session = lldb({attach(child), "goroutine list", "info goroutines"});
  CHECK(session[1] == expected);
  CHECK(session[2] == expected);
  CHECK(occurrences(expected, "chan receive") == 40);
}

TEST_CASE("a backtrace by LLDB reaches the goroutine's entry and agrees with core's, frame by frame") {
  Child child = parked(40);
  const auto session = lldb({attach(child), "goroutine 2 bt", "goroutine bt 2", "goroutine 33 bt", "goroutine bt 33"});
  for (std::size_t block : {1U, 3U}) {
    const auto frames = frame_lines(session[block]);
    CHECK(frames == frame_lines(session[block + 1]));
    REQUIRE(!frames.empty());
    CHECK(session[block].find("stacktide_goroutine_start") != std::string::npos);
    CHECK(frames.front().starts_with("switch.S:"));
    CHECK(frames.back().starts_with("switch.S:"));
  }
  // Depth 31: one call of park_below that waits, 31 below it.
  CHECK(occurrences(session[3], place_in_park("return park_below(depth - 1")) == 31);
}

TEST_CASE("locals of a parked goroutine print, std::string included") {
  Child child = parked(8);
  // Goroutine 5 is at depth 3. Its frames of park_below are the innermost from 1 or 2 on, as recv is inlined or not.
  const auto first = frame_lines(lldb({attach(child), "goroutine 5 bt"})[1]);
  std::size_t waits = 0;
  while (waits < first.size() && first[waits] != place_in_park("release.recv()")) ++waits;
  REQUIRE(waits + 3 < first.size());
  std::vector<std::string> commands = {attach(child)};
  for (std::size_t depth = 0; depth <= 3; ++depth) {
    commands.push_back("goroutine 5 frame select " + std::to_string(waits + depth));
    commands.push_back("goroutine 5 frame variable text");
  }
  const auto session = lldb(commands);
  for (std::size_t depth = 0; depth <= 3; ++depth) {
    CHECK(session[2 + 2 * depth].find("(std::string) text = \"parked at depth " + std::to_string(depth) + "\"") !=
          std::string::npos);
  }
}

TEST_CASE("selecting a goroutine makes just that one a thread, and goroutine thread goes back") {
  Child child = parked(5);
  const auto session =
      lldb({attach(child), "goroutine", "goroutine 4", "thread list", "goroutine", "bt", "goroutine 5 thread info",
            "goroutine", "goroutine thread", "goroutine", "goroutine 1", "goroutine"});
  const std::string name = "goroutine 4 [chan receive] (anonymous namespace)::worker";
  CHECK(session[1] == "no goroutine is selected: thread " + std::to_string(child.pid()) + " runs none\n");
  CHECK(session[2].starts_with(name + "\n* thread #"));
  CHECK(occurrences(session[3], "'goroutine ") == 1);
  CHECK(session[3].find("tid = 1000000000004, ") != std::string::npos);
  CHECK(session[3].find("name = '" + name + "'") != std::string::npos);
  CHECK(session[4] == name + "\n");
  CHECK(session[5].find("stacktide_goroutine_start") != std::string::npos);
  CHECK(session[6].find("tid = 1000000000005, ") != std::string::npos);
  CHECK(session[7] == name + "\n");  // the selection is back
  CHECK(session[8].starts_with("* thread #1, name = 'park'"));
  CHECK(session[9] == session[1]);
  // A goroutine on a thread is that thread.
  CHECK(session[10].starts_with("goroutine 1 [syscall]"));
  CHECK(session[10].find("name = 'park'") != std::string::npos);
  CHECK(session[11].starts_with("goroutine 1 [syscall]"));
}

TEST_CASE("goroutine threads on makes each parked goroutine one thread, and off takes them away") {
  Child child = parked(12);
  const auto session = lldb({attach(child), "thread list", "goroutine threads on", "thread list", "thread select 10", "bt",
                             "goroutine threads off", "thread list", "goroutine threads on 5", "thread list"});
  const auto os_threads = occurrences(session[1], "thread #");
  CHECK(session[2] == "12 goroutines are threads now; 1 run on threads of the process\n");
  CHECK(occurrences(session[3], "thread #") == os_threads + 12);
  for (int id = 2; id <= 13; ++id) {
    CHECK(occurrences(session[3],
                      "name = 'goroutine " + std::to_string(id) + " [chan receive] (anonymous namespace)::worker'") == 1);
  }
  CHECK(session[5].find("stacktide_goroutine_start") != std::string::npos);
  CHECK(occurrences(session[7], "thread #") == os_threads);
  CHECK(session[8] == "5 goroutines are threads now; 1 run on threads of the process; 7 more: `goroutine threads on 12`\n");
  CHECK(occurrences(session[9], "'goroutine ") == 5);
}

TEST_CASE("goroutine threads on stays on at later stops, with the goroutines that are parked then") {
  // Stops where `ready` is about to be printed, one instruction later, and when all others are gone.
  const auto session =
      lldb({"target create " + sample_program("park"), "breakpoint set --name puts", "process launch --stdin /dev/null -- 6",
            "goroutine threads on", "thread step-inst", "thread list", "breakpoint delete 1", "breakpoint set --name exit",
            "continue", "thread list", "goroutine list"});
  CHECK(session[3] == "6 goroutines are threads now; 1 run on threads of the process\n");
  CHECK(session[4].find("stop reason = instruction step into") != std::string::npos);
  CHECK(occurrences(session[5], "[chan receive] (anonymous namespace)::worker'") == 6);
  CHECK(session[8].find("stop reason = breakpoint 2") != std::string::npos);
  CHECK(occurrences(session[9], "[chan receive]") == 0);
  CHECK(occurrences(session[10], "chan receive") == 0);
}

TEST_CASE("goroutine threads on before the runtime has started is for the stops to come") {
  const auto session =
      lldb({"target create " + sample_program("park"), "breakpoint set --name puts",
            "process launch --stop-at-entry --stdin /dev/null -- 6", "goroutine threads on", "continue", "thread list"});
  CHECK(session[3] == "the runtime has not started yet: goroutines will be threads once it has\n");
  CHECK(occurrences(session[5], "[chan receive] (anonymous namespace)::worker'") == 6);
}

TEST_CASE("at a later stop with more goroutines than the limit LLDB has the first ones, and is told once what is missing") {
  const auto session =
      lldb({"target create " + test_program("rt_stops_O0"),
            "breakpoint set --one-shot true --source-pattern-regexp stacktide::go.parked --file rt_stops.cpp",
            "settings set target.env-vars STACKTIDE_MAXPROCS=1", "process launch -- 12 3", "goroutine threads on 5",
            "breakpoint set --name tick", "continue", "thread list", "continue"});
  CHECK(session[4] == "0 goroutines are threads now; 1 run on threads of the process\n");
  CHECK(occurrences(session[6], "5 goroutines are threads; 7 more are not: `goroutine threads on 12`\n") == 1);
  CHECK(occurrences(session[7], "name = 'goroutine ") == 5);
  CHECK(occurrences(session[8], "goroutines are threads") == 0);
}

TEST_CASE("goroutine all runs a command on each and leaves the selection and the list as they were") {
  Child child = parked(20);
  const auto session = lldb({attach(child), "goroutine 3", "goroutine all thread info", "goroutine", "thread list"});
  CHECK(occurrences(session[2], "thread #") == 21);
  for (int id = 2; id <= 21; ++id) {
    CHECK(session[2].find("goroutine " + std::to_string(id) + " [chan receive] (anonymous namespace)::worker\nthread #") !=
          std::string::npos);
  }
  CHECK(session[3] == "goroutine 3 [chan receive] (anonymous namespace)::worker\n");
  CHECK(occurrences(session[4], "'goroutine ") == 1);
}

TEST_CASE("core's commands on one goroutine take its id on either side") {
  Child child = parked(5);
  const auto session =
      lldb({attach(child), "goroutine 4 stack", "goroutine stack 4", "goroutine 4 history", "goroutine history 4"});
  CHECK(session[1] == session[2]);
  CHECK(session[1].starts_with("goroutine 4 [chan receive]"));
  CHECK(session[3] == session[4]);
}

TEST_CASE("after a detach the process runs on, untraced") {
  Child child = parked(5);
  const auto session =
      lldb({attach(child), "goroutine threads on", "goroutine trace on", "goroutine 3 bt", "process detach"});
  CHECK(session[4].find("detached") != std::string::npos);
  CHECK(status_field(child.pid(), "TracerPid") == "0");
  child.close_stdin();
  CHECK(child.wait() == 0);
  CHECK(child.output().find("done") != std::string::npos);
}
