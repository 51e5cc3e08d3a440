// Walks by stack maps and walks by CFI agree in real programs: at every level of optimisation, with and without frame
// pointers, parked and at any moment of the runtime's own test programs. And what pins a stack is named.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "support/gdb.h"
#include "support/park.h"

using namespace stacktide::test;

namespace {

struct Audited {
  bool there = false;  // the process still was
  std::size_t goroutines = 0;
  std::size_t recorded = 0;  // frames with a record
  std::string differences;
};

Audited audit(const Child& child) {
  const Output output = run({cli_program(), "audit", "--json", "--pid", std::to_string(child.pid())});
  Audited result;
  if (output.out.empty()) return result;
  const auto json = nlohmann::json::parse(output.out);
  result.there = true;
  result.goroutines = json.at("counts").at("goroutines").at("read");
  result.recorded = json.at("counts").at("recorded");
  for (const auto& finding : json.at("findings")) {
    if (finding.at("kind") == "walks_differ") result.differences += finding.dump() + "\n";
  }
  return result;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

TEST_CASE("records and CFI agree about frames of every shape, at every level, with and without frame pointers") {
  for (const std::string level : {"O0", "O1", "O2", "O3"}) {
    for (const std::string pointers : {"fp", "nofp", "drap"}) {
      const std::string program = test_program("rt_walks_" + pointers + "_" + level);
      CAPTURE(program);
      Child child = Child::start({program});
      child.wait_for_line("ready");
      const Audited audited = audit(child);
      CHECK(audited.differences == "");
      CHECK(audited.goroutines == 33);
      CHECK(audited.recorded > 32 * 3);
      const Output missing = run({cli_program(), "audit", "--pid", std::to_string(child.pid())});
      CHECK_FALSE(contains(missing.out, "no record"));
      child.close_stdin();
      CHECK(child.wait() == 0);
    }
  }
}

TEST_CASE("records and CFI agree in the goroutines of the runtime's test programs, whenever one looks") {
  std::size_t frames = 0;
  for (const std::string name :
       {"rt_plain_movable", "rt_channels_movable", "rt_select_movable", "rt_sync_movable", "rt_model_movable",
        "rt_throw_movable", "rt_mixed", "rt_handover", "rt_plain"}) {
    for (const std::string level : {"O0", "O2"}) {
      CAPTURE(name + "_" + level);
      Child child = Child::start({test_program(name + "_" + level)});
      for (int look = 0; look < 6; ++look) {
        const Audited audited = audit(child);
        if (!audited.there) break;
        CHECK(audited.differences == "");
        frames += audited.recorded;
      }
      CHECK(child.wait() == 0);
    }
  }
  MESSAGE(frames << " frames compared");
  CHECK(frames > 100);
}

TEST_CASE("in a MOVABLE program the function that holds a map is linked and named, and the others are copied") {
  for (const std::string level : {"O0", "O2"}) {
    const std::string program = test_program("rt_pins_" + level);
    CAPTURE(program);
    Child child = Child::start({program});
    child.wait_for_line("ready");
    const std::vector<std::string> target = {"--pid", std::to_string(child.pid())};
    const Output list = run({cli_program(), "list", "--json", "--pid", target[1]});
    for (const auto& g : nlohmann::json::parse(list.out).at("goroutines")) {
      if (g.at("id") == 1) continue;
      const Output stack = run({cli_program(), "stack", g.at("id").dump(), "--pid", target[1]});
      CAPTURE(stack.out);
      const bool map = contains(stack.out, "holds_a_map");
      CHECK(contains(stack.out, map ? "  pinned by    holds_a_map: std::map<int, int> counts\n" : "0 links, 0 hot splits"));
      CHECK(contains(stack.out, "pinned by") == map);
      CHECK((g.at("links").get<int>() > 0) == map);
    }
    child.close_stdin();
    CHECK(child.wait() == 0);
  }
}

TEST_CASE("nothing of the maps is read before a stack grows for the first time") {
  for (const auto& [goroutines, read] : {std::pair(1, "false"), std::pair(32, "true")}) {
    CAPTURE(goroutines);
    Park park(goroutines);
    const GdbSession gdb({"print 'stacktide::runtime::(anonymous namespace)::is_loaded'"},
                         {.arguments = {"-p", std::to_string(park.child.pid())}});
    CAPTURE(gdb.all());
    CHECK(gdb.at(0) == fmt::format("$1 = std::atomic<bool> = {{ {} }}\n", read));
  }
}
