// $_goroutine() and $_goroutine_count() in GDB: in expressions, and in conditions of breakpoints that many goroutines hit.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "support/gdb.h"
#include "support/park.h"

using namespace stacktide::test;

TEST_CASE("a condition lets one goroutine of many stop, each time that it comes by") {
  // Goroutines 2 to 41 call stepped() 5 times each. The fifth hit of 23 is where the count of those to ignore ends, and
  // there is no sixth.
  const GdbSession gdb({"set environment STACKTIDE_MAXPROCS 4", "break stepped if $_goroutine() == 23", "ignore 1 4",
                        "run 40 5", "print $_goroutine()", "info breakpoints", "continue"},
                       {.arguments = {test_program("rt_stepping_O2")}});
  CAPTURE(gdb.all());
  CHECK(gdb.at(3).find("Breakpoint 1, stepped (value=21)") != std::string::npos);
  CHECK(gdb.at(4) == "$1 = 23\n");
  CHECK(gdb.at(5).find("breakpoint already hit 5 times\n") != std::string::npos);
  CHECK(gdb.at(6).find("exited normally") != std::string::npos);
}

TEST_CASE("the functions answer for the thread, for the selection, and on a core") {
  auto park = Child::start({sample_program("park"), "32"}, {.env = {}, .folder = "", .core = true});
  wait_until_parked(park);
  const std::vector<std::string> commands = {"print $_goroutine()", "print $_goroutine_count()",
                                             "goroutine 33",        "print $_goroutine()",
                                             "goroutine thread",    "goroutine 1",
                                             "print $_goroutine()", "print $_goroutine() + $_goroutine_count()"};
  const auto check = [&](const std::vector<std::string>& arguments) {
    const GdbSession gdb(commands, {.arguments = arguments});
    CAPTURE(gdb.all());
    CHECK(gdb.at(1) == "$2 = 33\n");
    CHECK(gdb.at(3) == "$3 = 33\n");
    CHECK(gdb.at(6) == "$4 = 1\n");
    CHECK(gdb.at(7) == "$5 = 34\n");
    return gdb.at(0);
  };
  CHECK(check({"-p", std::to_string(park.pid())}) == "$1 = 0\n");
  check({sample_program("park"), make_core(park)});
}

TEST_CASE("where there are no goroutines both are 0: no process, no runtime, and before it starts") {
  const GdbSession none({"print $_goroutine()", "print $_goroutine_count()"});
  CHECK(none.at(0) == "$1 = 0\n");
  CHECK(none.at(1) == "$2 = 0\n");
  auto sleeper = Child::start({"sleep", "300"});
  const GdbSession other({"print $_goroutine()", "print $_goroutine_count()"},
                         {.arguments = {"-p", std::to_string(sleeper.pid())}});
  CHECK(other.at(0) == "$1 = 0\n");
  CHECK(other.at(1) == "$2 = 0\n");
  // The runtime of a program that has only begun says nothing yet; the same session answers later.
  const GdbSession early({"tbreak main", "run", "print $_goroutine()", "print $_goroutine_count()", "info goroutines",
                          "tbreak stepped", "continue", "print $_goroutine()", "print $_goroutine_count()"},
                         {.arguments = {test_program("rt_stepping_O2")}});
  CAPTURE(early.all());
  CHECK(early.at(2) == "$1 = 0\n");
  CHECK(early.at(3) == "$2 = 0\n");
  CHECK(early.at(4).starts_with("stacktide: the goroutine runtime has not started"));
  CHECK(lines_of(early.at(4)).size() == 1);
  CHECK(early.at(7) == "$3 = 2\n");
  CHECK(early.at(8) == "$4 = 2\n");
}
