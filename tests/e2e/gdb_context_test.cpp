// A goroutine as the context of GDB's own commands: bt, up, info locals, print; live and on a kernel core.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/gdb.h"
#include "support/park.h"

using namespace stacktide::test;

namespace {

// park's goroutine with id n (2 to 33 of the first 32) waits below n - 2 calls.
constexpr int kFirst = 2;
constexpr int kDepths = 32;

Child start_park() {
  auto park = Child::start({sample_program("park"), "32"}, {.env = {}, .folder = "", .core = true});
  wait_until_parked(park);
  return park;
}

// "park.cpp:32" of each frame that core finds.
std::vector<std::string> core_places(const std::string& json) {
  std::vector<std::string> places;
  const auto parsed = nlohmann::json::parse(json);
  for (const auto& frame : parsed.at("goroutines").at(0).at("frames")) {
    const auto file = frame.at("file").get<std::string>();
    places.push_back(fmt::format("{}:{}", file.substr(file.rfind('/') + 1), frame.at("line").get<int>()));
  }
  return places;
}

void check_backtraces(const std::vector<std::string>& arguments) {
  std::vector<std::string> commands;
  for (int id = kFirst; id < kFirst + kDepths; ++id) {
    commands.push_back(fmt::format("goroutine {} bt", id));
    commands.push_back(fmt::format("goroutine bt {} --json", id));
  }
  GdbSession gdb(commands, {.arguments = arguments});
  CAPTURE(gdb.all());
  for (int id = kFirst; id < kFirst + kDepths; ++id) {
    CAPTURE(id);
    const auto frames = gdb_frames(gdb.of(fmt::format("goroutine {} bt", id)));
    REQUIRE(!frames.empty());
    CHECK(frames.back().function == "stacktide_goroutine_start");
    CHECK(std::ranges::count(frames, "(anonymous namespace)::park_below", &GdbFrame::function) == id - kFirst + 1);
    std::vector<std::string> places;
    for (const auto& frame : frames) places.push_back(frame.place);
    // A label in assembly has its own line; where a parked goroutine resumes may be told one line apart.
    const auto cores = core_places(gdb.of(fmt::format("goroutine bt {} --json", id)));
    REQUIRE(places.size() == cores.size());
    CHECK(std::vector(places.begin() + 1, places.end()) == std::vector(cores.begin() + 1, cores.end()));
  }
}

// Selects goroutine 33, which waits below 31 calls, and walks up to its first park_below.
const std::vector<std::string> kWalk = {
    "goroutine",   "goroutine 33", "bt 1",           "goroutine", "frame function worker", "info frame", "down",
    "info locals", "print text",   "goroutine 2 bt", "frame",     "goroutine thread",      "goroutine",  "bt"};

void check_walk(const GdbSession& gdb) {
  CAPTURE(gdb.all());
  CHECK(gdb.at(1).starts_with("[Switching to goroutine 33 [chan receive] (anonymous namespace)::worker]\n#"));
  CHECK(innermost(gdb.at(2)) == "stacktide_gopark");
  CHECK(gdb.at(3) == "[Current goroutine is 33 [chan receive] (anonymous namespace)::worker]\n");
  CHECK(gdb.at(4).find("worker") != std::string::npos);
  CHECK(innermost(gdb.at(6)) == "(anonymous namespace)::park_below");
  CHECK(gdb.at(7) == "text = \"parked at depth 31\"\n");
  CHECK(gdb.at(8) == "$1 = \"parked at depth 31\"\n");
  // Another goroutine's backtrace in between changes neither the selection nor the frame.
  CHECK(outermost(gdb.at(9)) == "stacktide_goroutine_start");
  CHECK(gdb.at(10) == gdb.at(6));
  CHECK(gdb.at(11).starts_with("[Switching to thread "));
  // Back where it was: on a core that is the thread that took the signal, any of them.
  CHECK(gdb.at(12) == gdb.at(0));
  CHECK(innermost(gdb.at(13)) != "stacktide_gopark");
}

}  // namespace

TEST_CASE("each parked goroutine's bt in GDB reaches its entry, frame by frame as core's does, live") {
  auto park = start_park();
  check_backtraces({"-p", std::to_string(park.pid())});
}

TEST_CASE("each parked goroutine's bt in GDB reaches its entry, frame by frame as core's does, on a core") {
  auto park = start_park();
  check_backtraces({sample_program("park"), make_core(park)});
}

TEST_CASE("a selected goroutine is the context of frame, locals and print until the thread is back, live") {
  auto park = start_park();
  check_walk(GdbSession(kWalk, {.arguments = {"-p", std::to_string(park.pid())}}));
}

TEST_CASE("a selected goroutine is the context of frame, locals and print until the thread is back, on a core") {
  auto park = start_park();
  check_walk(GdbSession(kWalk, {.arguments = {sample_program("park"), make_core(park)}}));
}

TEST_CASE("a goroutine that holds a thread is looked at on that thread, through the library call it is in") {
  auto park = start_park();
  GdbSession gdb({"goroutine 1", "bt", "goroutine", "goroutine 1 bt"}, {.arguments = {"-p", std::to_string(park.pid())}});
  CAPTURE(gdb.all());
  CHECK(gdb.at(0).starts_with("[Switching to goroutine 1 [syscall"));
  CHECK(innermost(gdb.at(1)).find("read") != std::string::npos);
  CHECK(outermost(gdb.at(1)) == "stacktide_goroutine_start");
  CHECK(gdb.at(2).find(", which runs on thread ") != std::string::npos);
  CHECK(gdb.at(3) == gdb.at(1));
}

TEST_CASE("goroutine all runs a GDB command in each, under a line that names it, and comes back") {
  auto park = start_park();
  GdbSession gdb({"frame", "goroutine all bt 1", "frame", "goroutine all stack --json"},
                 {.arguments = {"-p", std::to_string(park.pid())}});
  CAPTURE(gdb.all());
  const auto lines = lines_of(gdb.at(1));
  CHECK(std::ranges::count_if(lines, [](const std::string& line) { return line.starts_with("goroutine "); }) == kDepths + 1);
  CHECK(std::ranges::count(lines, "goroutine 33 [chan receive] (anonymous namespace)::worker:") == 1);
  CHECK(gdb.at(2) == gdb.at(0));
  CHECK(std::ranges::count_if(lines_of(gdb.at(3)),
                              [](const std::string& line) { return line.starts_with("{\"schema\""); }) == kDepths + 1);
}

TEST_CASE("a call from the prompt keeps the selection, and running on ends it") {
  // At the puts all 32 are parked, and the thread that calls it can go on.
  GdbSession gdb({"set breakpoint pending on", "tbreak puts", "run 32 </dev/null", "goroutine 33", "print (int)getpid() > 0",
                  "goroutine", "frame", "stepi", "goroutine", "bt", "goroutine 33", "bt 1", "continue"},
                 {.arguments = {sample_program("park")}});
  CAPTURE(gdb.all());
  CHECK(gdb.at(4) == "$1 = 1\n");
  CHECK(gdb.at(5) == "[Current goroutine is 33 [chan receive] (anonymous namespace)::worker]\n");
  CHECK(innermost(gdb.at(6)) == "stacktide_gopark");
  CHECK(gdb.at(8).starts_with("[Current goroutine is 1 [syscall"));
  CHECK(outermost(gdb.at(9)) == "stacktide_goroutine_start");
  CHECK(innermost(gdb.at(11)) == "stacktide_gopark");
  CHECK(gdb.at(12).find("exited normally") != std::string::npos);
}

TEST_CASE("completion knows core's commands and, after an id, GDB's") {
  auto park = start_park();
  GdbSession gdb({"complete goroutine sche", "complete goroutine 7 info loc", "complete goroutine trace o"},
                 {.arguments = {"-p", std::to_string(park.pid())}});
  CAPTURE(gdb.all());
  CHECK(gdb.at(0) == "goroutine sched\n");
  CHECK(gdb.at(1) == "goroutine 7 info locals\n");
  CHECK(gdb.at(2) == "goroutine trace off\ngoroutine trace on\n");
}
