// samples/hot_split: under segmented stacks each turn of its loop links a segment, under contiguous ones almost none does. What it took is printed, never
// judged.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdio>
#include <sstream>
#include <string>

#include "support/process.h"

using namespace stacktide::test;

namespace {

struct Counts {
  unsigned long links = 0;
  unsigned long allocated = 0;
  unsigned long growths = 0;
};

Counts counts_of(const std::string& output, const std::string& policy) {
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(policy)) continue;
    Counts counts;
    INFO(line);
    REQUIRE(std::sscanf(line.c_str() + line.find(':'), ": %*f ns a call, %lu segments linked, %lu allocated, %lu growths", &counts.links,
                        &counts.allocated, &counts.growths) == 3);
    return counts;
  }
  FAIL("no line for " << policy << " in " << output);
  return {};
}

}  // namespace

TEST_CASE("a loop over a boundary: a link for each turn and one allocation, or one growth") {
  const Output output = run({sample_program("hot_split"), "1000000"});
  REQUIRE(output.exit_code == 0);
  MESSAGE(output.out);
  const Counts segmented = counts_of(output.out, "segmented");
  CHECK(segmented.links == 1'000'000);
  CHECK(segmented.allocated == 1);
  CHECK(segmented.growths == 0);
  const Counts contiguous = counts_of(output.out, "contiguous");
  CHECK(contiguous.links == 0);
  CHECK(contiguous.growths >= 1);
  CHECK(contiguous.growths <= 3);
}

TEST_CASE("the sweep finds callers whose callee links at each turn, and callers before and after them whose callee never does") {
  constexpr int kTurns = 1000;
  const Output output = run({sample_program("hot_split"), std::to_string(kTurns), "--sweep"});
  REQUIRE(output.exit_code == 0);
  MESSAGE(output.out);
  std::istringstream lines(output.out);
  std::string line;
  std::getline(lines, line);
  int rows = 0;
  std::string shape;  // f: free of links, h: hot; repetitions left out
  while (std::getline(lines, line)) {
    int locals = 0;
    int links = 0;
    REQUIRE(std::sscanf(line.c_str(), "%d %*f %*f %d", &locals, &links) == 2);
    CHECK(locals == rows * 32);
    CHECK((links == 0 || links == kTurns));
    const char kind = links == 0 ? 'f' : 'h';
    if (shape.empty() || shape.back() != kind) shape += kind;
    ++rows;
  }
  CHECK(rows == 33);
  // Beyond some size the caller itself needs a new segment, and the callee has room again.
  CHECK(shape == "fhf");
}

TEST_CASE("what makes no sense is refused") {
  const Output output = run({sample_program("hot_split"), "0"});
  CHECK(output.exit_code == 2);
  CHECK(output.err.starts_with("hot_split: wants turns"));
}
