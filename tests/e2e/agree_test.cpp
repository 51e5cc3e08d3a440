// core, GDB and LLDB on the same kernel core: the same backtraces frame by frame, at -O0 and -O2, of parked goroutines and
// of one that is in a blocking call on its thread.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/park.h"

using namespace stacktide::test;

namespace {

using Places = std::vector<std::string>;

// "park.cpp:32" of the frames that have source of ours, in order. libc's own frames depend on what debug info is installed
// for it, and a label in assembly may be told one line apart.
Places ours(const Places& all) {
  Places kept;
  for (const auto& place : all) {
    for (const char* file : {"park.cpp:", "runtime.h:", "channel.h:", "runtime.cpp:"}) {
      if (place.starts_with(file)) kept.push_back(place);
    }
  }
  return kept;
}

Places core_frames(const std::string& program, const std::string& core, int id) {
  const auto output = run({cli_program(), "bt", std::to_string(id), "--json", "--core", core, "--exe", program});
  REQUIRE(output.exit_code == 0);
  Places places;
  const auto parsed = nlohmann::json::parse(output.out);
  const auto& frames = parsed.at("goroutines").at(0).at("frames");
  CHECK(frames.back().at("function") == "stacktide_goroutine_start");
  for (const auto& frame : frames) {
    const auto file = frame.at("file").get<std::string>();
    places.push_back(fmt::format("{}:{}", file.substr(file.rfind('/') + 1), frame.at("line").get<int>()));
  }
  return places;
}

Places places_of(const std::vector<GdbFrame>& frames) {
  Places places;
  for (const auto& frame : frames) places.push_back(frame.place);
  return places;
}

bool is_ordered_subset(const Places& part, const Places& whole) {
  auto at = whole.begin();
  for (const auto& place : part) {
    at = std::find(at, whole.end(), place);
    if (at == whole.end()) return false;
    ++at;
  }
  return true;
}

// Optimised code has places that are told differently: GDB gives an inlined call the line of a neighbouring row, LLDB leaves
// out the function around an inlined one whose last instruction is the call (gdb 13, lldb 19). What each tells must be
// there, in this order.
void check_places(const Places& seen, const Places& expected, bool optimised) {
  if (optimised) {
    CHECK(seen.size() + 2 >= expected.size());
    CHECK(is_ordered_subset(seen, expected));
  } else {
    CHECK(fmt::format("{}", fmt::join(seen, " ")) == fmt::format("{}", fmt::join(expected, " ")));
  }
}

void check(const std::string& program, bool optimised) {
  Park park(32, program);
  const auto core = make_core(park.child);
  const std::vector<int> ids = {1, 2, 3, 10, 33};
  std::vector<std::string> commands;
  for (int id : ids) commands.push_back(fmt::format("goroutine {} bt", id));
  const GdbSession gdb(commands, {.arguments = {program, core}});
  auto in_lldb = commands;
  in_lldb.insert(in_lldb.begin(), fmt::format("target create --core {} {}", core, program));
  const LldbSession lldb_session = lldb(in_lldb);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CAPTURE(ids[i]);
    const auto frames = core_frames(program, core, ids[i]);
    const auto expected = ours(frames);
    REQUIRE(expected.size() >= 3);
    // Level by level, inlined ones included.
    const auto levels = gdb_frames(gdb.at(i));
    CHECK(levels.size() == frames.size());
    CHECK(levels.back().function == "stacktide_goroutine_start");
    check_places(ours(places_of(levels)), expected, optimised);
    const auto& text = lldb_session[i + 1];
    CAPTURE(text);
    CHECK(text.find("stacktide_goroutine_start") != std::string::npos);
    check_places(ours(frame_lines(text)), expected, optimised);
  }
}

}  // namespace

TEST_CASE("core, GDB and LLDB agree frame by frame at -O0") { check(test_program("park_O0"), false); }

TEST_CASE("core, GDB and LLDB agree frame by frame at -O2") { check(test_program("park_O2"), true); }

TEST_CASE("at -O0 and -O2 the tool's numbers are the program's own") {
  for (const char* program : {"park_O0", "park_O2"}) {
    CAPTURE(program);
    Park park(200, test_program(program));
    const auto list = run({cli_program(), "list", "--json", "--pid", std::to_string(park.child.pid())});
    CHECK(list.exit_code == 0);
    CHECK(listed(list.out) == measured(park));
  }
}
