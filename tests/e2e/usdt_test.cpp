// The runtime's USDT probes, through GDB: there, with the arguments that README documents, and as many hits as events.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <regex>
#include <string>

#include "support/gdb.h"

using namespace stacktide::test;

namespace {

const std::string kArguments =
    R"(printf "%d: %lu %u %u %u %d %d\n", $_probe_argc, $_probe_arg0, $_probe_arg1, $_probe_arg2, )"
    R"($_probe_arg3, $_probe_arg4 != 0, $_probe_arg5 != 0)";

}  // namespace

TEST_CASE("GDB lists a probe for each kind of event") {
  GdbSession gdb({"info probes stap stacktide"}, {.arguments = {sample_program("grow")}});
  std::string names;
  for (const auto& line : lines_of(gdb.at(0))) {
    std::smatch match;
    if (std::regex_search(line, match, std::regex(R"(^stap +stacktide +(\w+) )"))) names += match[1].str() + " ";
  }
  CHECK(names == "grow link release shrink ");
}

TEST_CASE("a probe's arguments are goroutine, old size, new size, used bytes, pc and caller") {
  // Not to its end: GDB 13 says "Couldn't get registers" when a program has ended before all its threads are resumed.
  GdbSession gdb({"break -probe-stap stacktide:grow", "run 1000", kArguments, "continue", kArguments, "delete",
                  "break -probe-stap stacktide:shrink", "continue", kArguments, "delete", "tbreak exit", "continue"},
                 {.arguments = {sample_program("grow")}});
  CAPTURE(gdb.all());
  CHECK(gdb.at(2) == "6: 1 2048 4096 1208 1 1\n");
  CHECK(gdb.at(4) == "6: 1 4096 8192 3320 1 1\n");
  CHECK(gdb.at(8) == "6: 1 262144 131072 552 0 0\n");
  CHECK(gdb.at(11).find("the runtime counted 7 grows, 0 links, 7 shrinks") != std::string::npos);
}

TEST_CASE("a probe is passed once for each event") {
  GdbSession gdb({"break -probe-stap stacktide:grow", "break -probe-stap stacktide:shrink", "ignore 1 1000", "ignore 2 1000",
                  "run 1000", "info breakpoints"},
                 {.arguments = {sample_program("grow")}});
  CAPTURE(gdb.all());
  const auto& text = gdb.at(5);
  const auto first = text.find("already hit 7 times");
  CHECK(first != std::string::npos);
  CHECK(text.find("already hit 7 times", first + 1) != std::string::npos);
}

TEST_CASE("the pc of a probe is in the function that needed room") {
  GdbSession gdb({"break -probe-stap stacktide:link", "set environment STACKTIDE_POLICY=segmented", "run 1000",
                  "info symbol $_probe_arg4", "info line *$_probe_arg5"},
                 {.arguments = {sample_program("grow")}});
  CAPTURE(gdb.all());
  CHECK(gdb.at(3).find("recurse(int, ") != std::string::npos);
  CHECK(gdb.at(4).find("grow.cpp") != std::string::npos);
}
