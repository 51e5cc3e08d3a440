// Stack maps where frames are not in a row in one stack that moves: linked segments, code that is pinned, frames that align
// the stack.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/gdb.h"
#include "support/process.h"

using namespace stacktide::test;
using nlohmann::json;

namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

struct Program {
  Child child;
  std::vector<std::string> target;
};

Program waiting(const std::string& name, std::vector<std::string> env = {}) {
  env.emplace_back("STACKTIDE_SHRINK=off");  // nothing moves between two looks
  Child child = Child::start({test_program(name)}, {.env = std::move(env), .folder = {}});
  child.wait_for_line("ready");
  auto target = std::vector<std::string>{"--pid", std::to_string(child.pid())};
  return {std::move(child), std::move(target)};
}

// What a command with findings prints, too.
std::string printed(std::vector<std::string> words, const std::vector<std::string>& target) {
  words.insert(words.begin(), cli_program());
  words.insert(words.end(), target.begin(), target.end());
  return run(words).out;
}

// By kind.
std::size_t findings(const json& audit, std::string_view kind) {
  return static_cast<std::size_t>(
      std::ranges::count_if(audit.at("findings"), [&](const json& one) { return one.at("kind") == kind; }));
}

std::vector<std::string> heads(const std::string& map, std::string_view function) {
  std::vector<std::string> found;
  for (const auto& line : lines_of(map)) {
    if (line.starts_with("#") && contains(line, function)) found.push_back(line);
  }
  return found;
}

// stackmap's lines between segments stand before the frames that bt puts on another one than those above.
void check_segments(const Program& program, const std::string& id) {
  const auto map = printed({"stackmap", id}, program.target);
  const auto bt = json::parse(printed({"bt", id, "--json"}, program.target)).at("goroutines").at(0);
  const auto& segments = bt.at("stack").at("segments");
  REQUIRE(segments.size() >= 2);
  CAPTURE(map);
  const auto lines = lines_of(map);
  for (std::size_t n = 1; n < segments.size(); ++n) {
    const auto mark = std::ranges::find(lines, fmt::format("--- segment {}", n));
    REQUIRE(mark + 1 < lines.end());
    const auto& frames = bt.at("frames");
    const auto first =
        std::ranges::find(frames, n, [](const json& frame) { return frame.at("segment").get<std::size_t>(); });
    REQUIRE(first != frames.end());
    CHECK((mark + 1)->starts_with(fmt::format("#{}", first->at("level").get<int>())));
  }
  CHECK(std::ranges::count_if(lines, [](const auto& line) { return line.starts_with("---"); }) ==
        static_cast<std::ptrdiff_t>(segments.size() - 1));
}

}  // namespace

TEST_CASE("a chain of segments of code that is not MOVABLE: every frame has its words, and is said to be pinned") {
  for (const std::string level : {"O0", "O2"}) {
    CAPTURE(level);
    const auto program = waiting("rt_segments_" + level, {"STACKTIDE_SEGMENT=2048"});
    const auto audit = json::parse(printed({"audit", "--json"}, program.target));
    CHECK(findings(audit, "walks_differ") == 0);
    CHECK(audit.at("findings").empty());
    CHECK(audit.at("partial").empty());
    check_segments(program, "2");
    const auto map = printed({"stackmap", "2"}, program.target);
    const auto frames = heads(map, " deep at rt_segments.cpp:");
    CHECK(frames.size() == 6);
    for (const auto& frame : frames) CHECK(frame.ends_with(" bytes, pinned: not MOVABLE"));
    const auto function = printed({"stackmap", "deep"}, program.target);
    CHECK(function.starts_with("deep in rt_segments_" + level + ": "));
    CHECK(lines_of(function).at(1) == "  pinned: not MOVABLE");
    CHECK(contains(map, "  volatile char[900]\n"));
  }
}

TEST_CASE("in a MOVABLE program the frame that pins is named in stackmap as in stack") {
  for (const std::string level : {"O0", "O2"}) {
    CAPTURE(level);
    const auto program = waiting("rt_pins_" + level);
    const auto audit = json::parse(printed({"audit", "--json"}, program.target));
    CHECK(audit.at("findings").empty());
    CHECK(audit.at("partial").empty());
    int maps = 0;
    for (const std::string id : {"2", "3"}) {
      const auto map = printed({"stackmap", id}, program.target);
      const auto stack = printed({"stack", id}, program.target);
      CAPTURE(map);
      CHECK(heads(map, " deep at ").size() == 9);
      for (const auto& frame : heads(map, " deep at ")) CHECK_FALSE(contains(frame, "pinned"));
      const auto holder = heads(map, " holds_a_map at ");
      if (holder.empty()) {
        CHECK_FALSE(contains(map, "pinned"));
        CHECK_FALSE(contains(map, "--- segment"));
        CHECK_FALSE(contains(stack, "pinned by"));
        continue;
      }
      ++maps;
      REQUIRE(holder.size() == 1);
      CHECK(contains(holder[0], " bytes, pinned by std::map<int, int> counts"));
      CHECK(contains(stack, "  pinned by    holds_a_map: std::map<int, int> counts\n"));
      check_segments(program, id);
    }
    CHECK(maps == 1);
    CHECK(lines_of(printed({"stackmap", "holds_a_map"}, program.target)).at(1) == "  pinned by std::map<int, int> counts");
  }
}

TEST_CASE(
    "a frame that aligns the stack is drawn from its CFA, where its record finds it, and saves no register for certain") {
  for (const std::string level : {"O0", "O2"}) {
    CAPTURE(level);
    const auto program = waiting("rt_walks_drap_" + level);
    const auto list = json::parse(printed({"list", "--json"}, program.target));
    std::size_t found = 0;
    for (const auto& goroutine : list.at("goroutines")) {
      const auto id = goroutine.at("id").dump();
      const auto map = json::parse(printed({"stackmap", id, "--json"}, program.target));
      for (const auto& frame : map.at("goroutines").at(0).at("frames")) {
        const std::string function = frame.at("function");
        if (!contains(function, "::aligned<") || contains(function, "<16")) continue;
        ++found;
        CAPTURE(function);
        CHECK(frame.at("recorded") == true);
        CHECK(frame.at("cfa_rule") == "[rbp-8]");
        const auto& words = frame.at("words");
        CHECK(words.size() == frame.at("size").get<std::size_t>() / 8);
        CHECK(words.at(0).at("return_address") == true);
        for (const auto& word : words) CHECK(word.at("saved").is_null());
      }
      const auto text = printed({"stackmap", id}, program.target);
      const auto aligned = heads(text, "::aligned<64");
      if (!aligned.empty()) CHECK(contains(aligned[0], " = [rbp-8], "));
    }
    CHECK(found == 6);  // 32, 64 and 256 bytes, twice each
  }
}
