// Chains of segments as the tools show them: where a backtrace goes from one to the next, what each segment was left for,
// and which calls led from one to another most often. Live and on a core; the numbers are the program's own.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "support/gdb.h"
#include "support/process.h"
#include "support/stepper.h"

using namespace stacktide::test;
using nlohmann::json;

namespace {

constexpr int kLevels = 6;  // calls of deep() in rt_segments
constexpr int kTurns = 1000;

// "rt_segments.cpp:22", for the first line with this text.
std::string place(std::string_view text) {
  std::ifstream source(STACKTIDE_SOURCE_DIR "/tests/programs/rt_segments.cpp");
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    if (line.find(text) != std::string::npos) return fmt::format("rt_segments.cpp:{}", number);
  }
  throw std::runtime_error(fmt::format("no '{}' in rt_segments.cpp", text));
}

// Each frame lies whole on the segment that it is said to be on, segments follow each other, and the frames of each fill its
// used part.
void check_frames(const json& goroutine) {
  const auto address = [](const json& value) { return std::stoull(value.get<std::string>(), nullptr, 16); };
  const auto& segments = goroutine.at("stack").at("segments");
  std::vector<std::uint64_t> filled(segments.size());
  std::size_t before = 0;
  for (const auto& frame : goroutine.at("frames")) {
    CAPTURE(frame.dump());
    REQUIRE(frame.at("segment").is_number());
    const auto at = frame.at("segment").get<std::size_t>();
    CHECK((at == before || at == before + 1));
    before = at;
    const auto& segment = segments.at(at);
    CHECK(address(frame.at("sp")) >= address(segment.at("sp")));
    CHECK(address(frame.at("cfa")) <= address(segment.at("hi")));
    CHECK(address(frame.at("cfa")) - address(frame.at("sp")) == frame.at("size").get<std::uint64_t>());
    if (!frame.at("inlined").get<bool>()) filled.at(at) += frame.at("size").get<std::uint64_t>();
  }
  CHECK(before + 1 == segments.size());
  for (std::size_t i = 0; i < segments.size(); ++i) {
    CAPTURE(i);
    // The goroutine's first word, and what a segment begins with.
    CHECK(filled.at(i) + 16 >= segments.at(i).at("used").get<std::uint64_t>());
    CHECK(filled.at(i) <= segments.at(i).at("used").get<std::uint64_t>());
  }
}

void check_chain(const std::string& printed, const std::vector<std::string>& target) {
  const auto parsed = json::parse(cli_output({"stack", "2", "--json"}, target));
  const auto& goroutine = parsed.at("goroutines").at(0);
  const auto& stack = goroutine.at("stack");
  const auto& segments = stack.at("segments");
  REQUIRE(segments.size() >= 3);
  CHECK(printed.find(fmt::format("{} segments, {} bytes, {} used\n", segments.size(), stack.at("size").get<int>(),
                                 stack.at("used").get<int>())) != std::string::npos);
  CHECK(goroutine.at("links").get<std::size_t>() == segments.size() - 1);
  CHECK(std::ranges::count_if(goroutine.at("frames"), [](const auto& f) { return f.at("function") == "deep"; }) == kLevels);
  check_frames(goroutine);
  const auto bt = cli_output({"bt", "2"}, target);
  const auto text = cli_output({"stack", "2"}, target);
  std::uint64_t links = 0;
  for (std::size_t i = 1; i < segments.size(); ++i) {
    const auto& segment = segments.at(i);
    CHECK(segment.at("function") == "deep");
    const auto line =
        fmt::format("--- segment {}: {} - {}, {} bytes, {} used\n", i, segment.at("lo").get<std::string>(),
                    segment.at("hi").get<std::string>(), segment.at("size").get<int>(), segment.at("used").get<int>());
    CHECK(bt.find(line) != std::string::npos);
    CHECK(text.find(fmt::format("--- segment {}\n", i)) != std::string::npos);
  }
  links = segments.size() - 1;
  for (const auto& line : lines_of(text)) {
    if (line.starts_with("      1  0x")) CHECK(line.ends_with(fmt::format("{}  deep ({})", links, place("int deep("))));
  }
  CHECK(text.find(fmt::format("counters     0 grows, 0 shrinks, {} links, ", links)) != std::string::npos);
}

void check_splits(const std::vector<std::string>& target) {
  const auto parsed = json::parse(cli_output({"history", "--splits", "--json"}, target));
  const auto& hottest = parsed.at("splits").at(0);
  CHECK(hottest.at("count") == kTurns);
  CHECK(hottest.at("function") == "crossing");
  CHECK(hottest.at("caller_function") == "loop");
  CHECK(hottest.at("bytes").get<int>() >= 1500 - 128);  // a leaf's last bytes may lie below its sp
  CHECK(hottest.at("allocated").get<int>() < kTurns);
  const auto lines = lines_of(cli_output({"history", "--splits", "--limit", "1"}, target));
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].starts_with("links  allocated  bytes  function"));
  CHECK(lines[1] == fmt::format(" 1000  {:>9}  {:>5}  crossing ({})  loop ({})", hottest.at("allocated").get<int>(),
                                hottest.at("bytes").get<int>(), place("int crossing("), place("sum += crossing")));
  CHECK(lines[2].ends_with(" more: --all"));
  std::uint64_t links = 0;
  for (const auto& split : parsed.at("splits")) links += split.at("count").get<std::uint64_t>();
  CHECK(lines[3].starts_with(fmt::format("{} links in {} places, ", links, parsed.at("splits").size())));
}

void check(const std::string& program, const std::string& policy) {
  auto child =
      Child::start({program}, {.env = {"STACKTIDE_SEGMENT=2048", "STACKTIDE_POLICY=" + policy}, .folder = {}, .core = true});
  const auto printed = child.wait_for_line("ready");
  reading_thread(child.pid());
  const std::vector<std::string> live = {"--pid", std::to_string(child.pid())};
  check_chain(printed, live);
  check_splits(live);
  const auto splits = cli_output({"history", "--splits"}, live);
  const auto bt = cli_output({"bt", "2"}, live);
  const auto path = make_core(child);
  const std::vector<std::string> core = {"--core", path};
  check_chain(printed, core);
  check_splits(core);
  CHECK(cli_output({"history", "--splits"}, core) == splits);
  CHECK(cli_output({"bt", "2"}, core) == bt);
  const GdbSession gdb({"goroutine history --splits", "goroutine bt 2", "goroutine 2 stack"},
                       {.arguments = {program, path}});
  CHECK(gdb.at(0) == splits);
  CHECK(gdb.at(1) == bt);
  CHECK(gdb.at(2) == cli_output({"stack", "2"}, core));
}

}  // namespace

TEST_CASE("a chain of segments, and the splits that made it, at -O0") { check(test_program("rt_segments_O0"), "auto"); }

TEST_CASE("a chain of segments, and the splits that made it, at -O2") { check(test_program("rt_segments_O2"), "segmented"); }

TEST_CASE("splits are not counted by goroutine") {
  auto child = Child::start({test_program("rt_segments_O2")});
  child.wait_for_line("ready");
  const auto output = run({cli_program(), "history", "2", "--splits", "--pid", std::to_string(child.pid())});
  CHECK(output.exit_code == 2);
  CHECK(output.err.find("--splits takes no id") != std::string::npos);
}
