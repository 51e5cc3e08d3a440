// `goroutine trace` in a real GDB: as many lines as the program counted growths and shrinks.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "support/gdb.h"
#include "support/park.h"

using namespace stacktide::test;

namespace {

struct Counts {
  long grows = -1;
  long shrinks = -1;
  bool operator==(const Counts&) const = default;
};

// "7 grows, 7 shrinks, largest 262144 bytes", as the program counted by looking at its stack's size.
Counts counted_by_program(const std::string& text) {
  std::smatch match;
  if (!std::regex_search(text, match, std::regex(R"((\d+) grows, (\d+) shrinks, largest)"))) return {};
  return {std::stol(match[1]), std::stol(match[2])};
}

Counts traced(const std::string& text) {
  const auto lines = lines_of(text);
  const std::regex grew(R"(goroutine \d+ grew \d+ -> \d+ bytes, used \d+, in .* \(grow\.cpp:\d+\), called from .*)");
  const std::regex shrank(R"(goroutine \d+ shrank \d+ -> \d+ bytes, used \d+)");
  const auto count = [&](const std::regex& form) {
    return std::ranges::count_if(lines, [&](const std::string& line) { return std::regex_match(line, form); });
  };
  return {count(grew), count(shrank)};
}

// The rows of `trace show`.
Counts in_table(const std::string& text) {
  const auto lines = lines_of(text);
  const std::regex grew(R"( *\d+\.\d{6} +\d+  grow +\d+ -> \d+ +\d+  .* \(grow\.cpp:\d+\))");
  const std::regex shrank(R"( *\d+\.\d{6} +\d+  shrink +\d+ -> \d+ +\d+)");
  const auto count = [&](const std::regex& form) {
    return std::ranges::count_if(lines, [&](const std::string& line) { return std::regex_match(line, form); });
  };
  return {count(grew), count(shrank)};
}

}  // namespace

TEST_CASE("tracing from the start prints exactly the growths and shrinks that the program counted") {
  GdbSession gdb({"goroutine trace on", "run 1000 5", "goroutine trace show", "goroutine trace off", "goroutine trace show",
                  "run 1000 5", "goroutine trace show"},
                 {.arguments = {sample_program("grow")}});
  CAPTURE(gdb.all());
  CHECK(gdb.at(0) == "[tracing stack events]\n");
  const auto counted = counted_by_program(gdb.at(1));
  REQUIRE(counted.grows > 5);
  CHECK(traced(gdb.at(1)) == counted);
  CHECK(in_table(gdb.at(2)) == counted);
  const auto totals = fmt::format("{} stack events: {} grew, {} shrank; 0 lost; 1 stop; tracing is ",
                                  counted.grows + counted.shrinks, counted.grows, counted.shrinks);
  CHECK(lines_of(gdb.at(2)).back() == totals + "on");
  CHECK(lines_of(gdb.at(4)).back() == totals + "off");
  // Off is off: the second run prints nothing and adds nothing.
  CHECK(traced(gdb.at(5)) == Counts{0, 0});
  CHECK(gdb.at(6) == gdb.at(4));
}

TEST_CASE("tracing can be asked for before GDB has a program, and goes on over a second run") {
  GdbSession gdb({"goroutine trace on", "file " + sample_program("grow"), "run 200", "run 200", "goroutine trace show"});
  CAPTURE(gdb.all());
  CHECK(gdb.at(0) == "[tracing stack events once there is a program]\n");
  const auto counted = counted_by_program(gdb.at(2));
  REQUIRE(counted.grows > 0);
  CHECK(traced(gdb.at(2)) == counted);
  CHECK(traced(gdb.at(3)) == counted);
  CHECK(in_table(gdb.at(4)) == counted);  // of the second
}

TEST_CASE("tracing a program that already runs begins there, and can end before it does") {
  GdbSession gdb({"break main", "run 1000 4", "goroutine trace on", "continue", "goroutine trace show"},
                 {.arguments = {sample_program("grow")}});
  CAPTURE(gdb.all());
  const auto counted = counted_by_program(gdb.at(3));
  REQUIRE(counted.grows > 4);
  CHECK(traced(gdb.at(3)) == counted);
  CHECK(in_table(gdb.at(4)) == counted);
}

TEST_CASE("what the trace printed is what the runtime's own history holds") {
  GdbSession gdb(
      {"goroutine trace on", "handle SIGABRT stop", "set environment GROW_ABORT=1", "run 1000 3", "goroutine history"},
      {.arguments = {sample_program("grow")}});
  CAPTURE(gdb.all());
  const auto counted = counted_by_program(gdb.at(3));
  CHECK(traced(gdb.at(3)) == counted);
  CHECK(lines_of(gdb.at(4)).back() ==
        fmt::format("{} grows, {} shrinks, 0 links, 0 releases; 0 lost", counted.grows, counted.shrinks));
}

TEST_CASE("a core cannot be traced, and the error says what can be done") {
  auto park = Child::start({sample_program("park"), "3"}, {.env = {}, .folder = "", .core = true});
  wait_until_parked(park);
  GdbSession gdb({"goroutine trace on"}, {.arguments = {sample_program("park"), make_core(park)}});
  CHECK(gdb.at(0) == "stacktide: a core does not run: goroutine history shows its last stack events\n");
}
