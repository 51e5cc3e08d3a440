// The prediction of `trace advise` against what really happens: a program is recorded, and recorded again with the other
// first size. What is left of its growth must be what was predicted, to the byte.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "support/process.h"

using namespace stacktide::test;
using nlohmann::json;

namespace {

// Records it with this first size (0: the default), without the monitor, which shrinks by the clock.
json advice(const std::vector<std::string>& program, std::uint64_t first_size, const TempDir& folder) {
  const auto path = folder / fmt::format("{}.stt", first_size);
  std::vector<std::string> env = {"STACKTIDE_SHRINK=off"};
  if (first_size != 0) env.push_back(fmt::format("STACKTIDE_MINSTACK={}", first_size));
  std::vector<std::string> words = {cli_program(), "record", "--quiet", "-o", path, "--"};
  words.insert(words.end(), program.begin(), program.end());
  const auto recorded = run(words, kTimeout, {.env = env, .folder = "", .core = false});
  REQUIRE(recorded.err == "");
  REQUIRE(recorded.exit_code == 0);
  const auto output = run({cli_program(), "trace", "advise", path, "--json"});
  REQUIRE(output.err == "");
  REQUIRE(output.exit_code == 0);
  return json::parse(output.out);
}

// "hot_split.cpp:35": the first line of that sample with this text.
std::string place(std::string_view text) {
  std::ifstream source(STACKTIDE_SOURCE_DIR "/samples/hot_split.cpp");
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    if (line.find(text) != std::string::npos) return fmt::format("hot_split.cpp:{}", number);
  }
  throw std::runtime_error(fmt::format("no '{}' in samples/hot_split.cpp", text));
}

// How many sizes were tried.
std::size_t check_prediction(const std::vector<std::string>& program) {
  TempDir folder;
  const auto before = advice(program, 0, folder)["all"];
  const auto number = [](const json& from, const char* field) { return from.at(field).get<std::uint64_t>(); };
  for (const auto& option : before["options"]) {
    const auto size = number(option, "size");
    CAPTURE(size);
    const auto after = advice(program, size, folder);
    CHECK(after["first_size"] == size);
    const auto& was = before["growth"];
    const auto& is = after["all"]["growth"];
    CHECK(number(is, "grows") == number(was, "grows") - number(option, "grows_saved"));
    CHECK(number(is, "shrinks") == number(was, "shrinks") - number(option, "shrinks_saved"));
    CHECK(number(is, "bytes_copied") == number(was, "bytes_copied") - number(option, "bytes_saved"));
  }
  return before["options"].size();
}

}  // namespace

TEST_CASE("with the other first size, those growths remain that were predicted") {
  CHECK(check_prediction({sample_program("grow"), "1000", "3"}) == 7);
  // 100 goroutines of different depths.
  CHECK(check_prediction({sample_program("park"), "100"}) == 3);
  CHECK(check_prediction({sample_program("frames")}) >= 1);
}

TEST_CASE("what a program's growth comes to is told with its entry, and thrash with the call that grows again") {
  TempDir folder;
  const auto all = advice({sample_program("park"), "1000"}, 0, folder);
  const auto& worker = all["entries"][0];
  CHECK(worker["function"] == "(anonymous namespace)::worker");
  CHECK(worker["goroutines"] == 1000);
  CHECK(worker["most_alive"] == 1000);
  CHECK(worker["recommended"] == 8192);
  CHECK(all["all"]["goroutines"] == 1001);

  const auto grow = advice({sample_program("grow"), "1000", "3"}, 0, folder);
  REQUIRE(grow["thrash"].size() == 1);
  const auto& thrash = grow["thrash"][0];
  CHECK(thrash["growth"]["thrash"] == 2);
  CHECK(thrash["function"]["function"] == "(anonymous namespace)::recurse");
  CHECK(thrash["caller"]["function"] == "(anonymous namespace)::recurse");
}

TEST_CASE("a hot split is told with the function, its caller and a cure") {
  TempDir folder;
  const auto recorded = run({cli_program(), "record", "--quiet", "-o", folder / "t.stt", "--", sample_program("hot_split"),
                             "--child", "segmented", "1000", "--count"},
                            kTimeout, {.env = {"STACKTIDE_POLICY=segmented"}, .folder = "", .core = false});
  REQUIRE(recorded.exit_code == 0);
  const auto output = run({cli_program(), "trace", "advise", folder / "t.stt"});
  CHECK(output.exit_code == 0);
  CHECK(output.out.find(
            fmt::format("hot split: (anonymous namespace)::callee ({}) called from (anonymous namespace)::caller<288> "
                        "({}): 1000 of 1002 links linked a kept segment again\n"
                        "  -> STACKTIDE_POLICY=auto, with stacktide_goroutines(TARGET MOVABLE), copies the stack once "
                        "instead; or a larger segment, STACKTIDE_SEGMENT=16K\n",
                        place("long callee(long n)"), place("callee(i + locals"))) != std::string::npos);
}
