// `goroutine trace` in a real LLDB against the program's own count.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "support/lldb.h"
#include "support/process.h"

using namespace stacktide::test;

namespace {

// samples/grow's last line: what its runtime counted.
struct Counted {
  unsigned long grows = 0;
  unsigned long links = 0;
  unsigned long shrinks = 0;
};

Counted counted(const std::string& output) {
  Counted counts;
  const auto at = output.find("the runtime counted ");
  REQUIRE(at != std::string::npos);
  REQUIRE(std::sscanf(output.c_str() + at, "the runtime counted %lu grows, %lu links, %lu shrinks", &counts.grows,
                      &counts.links, &counts.shrinks) == 3);
  return counts;
}

void check_trace(const std::string& output, const std::string& show) {
  const Counted counts = counted(output);
  CHECK(counts.grows > 0);
  CHECK(counts.shrinks > 0);
  CHECK(occurrences(output, "goroutine 1 grew ") == counts.grows);
  CHECK(occurrences(output, "goroutine 1 shrank ") == counts.shrinks);
  CHECK(occurrences(output, "goroutine 1 linked ") == counts.links);
  CHECK(occurrences(show, "goroutine 1 grew ") == counts.grows);
  CHECK(occurrences(show, "goroutine 1 shrank ") == counts.shrinks);
  CHECK(show.find(fmt::format("{} grew", counts.grows)) != std::string::npos);
  CHECK(show.find(fmt::format("{} shrank", counts.shrinks)) != std::string::npos);
  CHECK(show.ends_with("; tracing is on\n"));
}

}  // namespace

TEST_CASE("a trace set before the program runs prints exactly the growths and shrinks that the program counted") {
  const auto session = lldb(
      {"target create " + sample_program("grow"), "goroutine trace on", "process launch -- 1000 2", "goroutine trace show"});
  CHECK(session[1] == "tracing stack events once the program runs\n");
  check_trace(session[2], session[3]);
  // A line names the function that needed room and its caller.
  CHECK(session[2].find("goroutine 1 grew 2048 -> 4096 bytes, used ") != std::string::npos);
  CHECK(session[2].find("recurse (grow.cpp:") != std::string::npos);
}

TEST_CASE("each event is printed when it happens, among the program's own lines") {
  const auto session = lldb({"target create " + sample_program("grow"), "goroutine trace on", "process launch -- 1000"});
  const auto start = session[2].find("start: 2048 bytes");
  const auto grew = session[2].rfind("goroutine 1 grew ");
  const auto recursed = session[2].find("recursed 1000 deep");
  const auto shrank = session[2].find("goroutine 1 shrank ");
  const auto returned = session[2].find("returned: ");
  CHECK(start < grew);
  CHECK(grew < recursed);
  CHECK(recursed < shrank);
  CHECK(shrank < returned);
  CHECK(returned != std::string::npos);
}

TEST_CASE("a trace set on a process that has started prints the same") {
  const auto session = lldb({"target create " + sample_program("grow"), "process launch --stop-at-entry -- 2000",
                             "goroutine trace on", "goroutine trace on", "continue", "goroutine trace show"});
  CHECK(session[2] == "tracing stack events\n");
  CHECK(session[3] == "tracing stack events already\n");
  check_trace(session[4], session[5]);
}

TEST_CASE("a trace that is off prints nothing and leaves no breakpoint") {
  const auto session = lldb({"target create " + sample_program("grow"), "goroutine trace on", "goroutine trace off",
                             "breakpoint list", "process launch -- 1000", "goroutine trace show"});
  CHECK(session[3].find("No breakpoints currently set.") != std::string::npos);
  CHECK(occurrences(session[4], "goroutine 1 ") == 0);
  CHECK(session[5] == "0 stack events; tracing is off\n");
}
