// `goroutine next` and `goroutine finish` in GDB, while stacks move, are linked, and goroutines change threads; and what
// GDB's own do.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "support/gdb.h"
#include "support/source.h"

using namespace stacktide::test;

namespace {

constexpr const char* kNext = "goroutine next";
// Not to the program's end: GDB 13 sometimes fails there ("Couldn't get registers: No such process") when a thread other
// than the first ends it.
const std::string kToTheEnd = "python gdb.Breakpoint('all_done', temporary=True); gdb.execute('continue')";

SourceLine line(std::string_view text) { return source_line("rt_stepping.cpp", text); }
std::string at(std::string_view text) { return fmt::format("tbreak {}", line(text).place); }

// What GDB prints of a line that it stops at.
std::string shown(std::string_view text) {
  const auto found = line(text);
  return fmt::format("{}\t{}\n", found.number, found.text);
}

// Without what GDB says of threads.
std::string without_threads(const std::string& text) {
  std::string result;
  for (const auto& part : lines_of(text)) {
    if (!part.starts_with("[") && !part.empty()) result += part + "\n";
  }
  return result;
}

std::string last_line(const std::string& text) {
  const auto lines = lines_of(text);
  return lines.empty() ? "" : lines.back() + "\n";
}

GdbSession session(const std::string& program, const std::vector<std::string>& commands) {
  return GdbSession(commands, {.arguments = {test_program(program)}});
}

// Stops in stepped() and takes one line after the other, over two calls that need more stack.
void check_lines(const std::string& program, const std::string& segment) {
  CAPTURE(program);
  const auto gdb = session(program, {"set environment STACKTIDE_SEGMENT " + segment, at("int sum = opaque(value)"), "run",
                                     kNext, kNext, kNext, kNext, "bt 1", "print $_goroutine()", "maint info breakpoints"});
  CAPTURE(gdb.all());
  CHECK(without_threads(gdb.at(3)) == shown("// grows"));
  CHECK(without_threads(gdb.at(4)) == shown("sum = opaque(sum)"));
  CHECK(without_threads(gdb.at(5)) == shown("// grows again"));
  CHECK(without_threads(gdb.at(6)) == shown("return opaque(sum)"));
  CHECK(innermost(gdb.at(7)) == "stepped");
  CHECK(gdb.at(8) == "$1 = 2\n");
  // GDB has breakpoints of its own, on the dynamic linker; none at an address of the program is left.
  CHECK(gdb.at(9).find("rt_stepping.cpp") == std::string::npos);
}

void check_recursion(const std::string& program) {
  CAPTURE(program);
  // At -O0 arguments are where GDB looks for them only from the first line on; at -O2 only before it, for certain.
  const bool plain = program.ends_with("O0");
  const auto gdb = session(
      program, {fmt::format("break {} if depth == 1", plain ? line("int got = opaque").place : "recursive"), "run",
                plain ? "goroutine next" : "goroutine next 2", "bt", kNext, "bt", kNext, "bt", "goroutine finish", "bt"});
  CAPTURE(gdb.all());
  const auto depth = [&](std::size_t block) {
    const auto frames = gdb_frames(gdb.at(block));
    return std::ranges::count(frames, "recursive", &GdbFrame::function);
  };
  CHECK(without_threads(gdb.at(2)) == shown("// recurses"));
  CHECK(depth(3) == 3);
  CHECK(without_threads(gdb.at(4)) == shown("got += deep(depth"));
  CHECK(depth(5) == 3);
  CHECK(without_threads(gdb.at(6)) == shown("// after the recursion"));
  CHECK(depth(7) == 3);
  // recursive(1) is 1 + recursive(0) + deep(1), and that is deep(60).
  CHECK(last_line(gdb.at(8)) == "Value returned is $1 = 64\n");
  CHECK(depth(9) == 2);
}

void check_exceptions(const std::string& program) {
  CAPTURE(program);
  const auto in_frame = session(program, {at("// catches"), "run", kNext, kNext, kToTheEnd});
  CAPTURE(in_frame.all());
  // At -O0 the catch has a line of its own; the next line is the handler's at both levels.
  const bool at_catch = without_threads(in_frame.at(2)) == shown("} catch (int thrown)");
  CHECK(without_threads(in_frame.at(at_catch ? 3 : 2)) == shown("// caught"));
  CHECK(in_frame.at(4).find("all_done ()") != std::string::npos);

  const auto outside = session(program, {at("// throws"), "run", kNext, "bt 1", kToTheEnd});
  CAPTURE(outside.all());
  CHECK(innermost(outside.at(3)) == "catching");
  const auto stopped = last_line(without_threads(outside.at(2)));
  CHECK((stopped == shown("} catch (int thrown)") || stopped == shown("// caught")));
  CHECK(outside.at(4).find("all_done ()") != std::string::npos);

  // An exception that is thrown and caught further in ends nothing: catching() is called here.
  const auto inside = session(program, {"tbreak catching", "run", "up", "goroutine finish", "bt 1"});
  CAPTURE(inside.all());
  CHECK(inside.at(3).find("operator() (__closure") != std::string::npos);
}

}  // namespace

TEST_CASE("GDB's own next runs away when the call that it steps over moves the stack") {
  for (const char* program : {"rt_stepping_O0", "rt_stepping_O2"}) {
    const auto gdb = session(program, {at("// grows"), "run", "next"});
    CAPTURE(gdb.all());
    CHECK(gdb.at(2).find("exited normally") != std::string::npos);
  }
}

TEST_CASE("goroutine next stops at each line while the calls move the stack, or link segments") {
  for (const char* level : {"O0", "O2"}) {
    check_lines(fmt::format("rt_stepping_{}", level), "2048");
    check_lines(fmt::format("rt_stepping_linked_{}", level), "2048");
  }
}

TEST_CASE("recursion into the same lines does not end a step, and finish leaves one level") {
  check_recursion("rt_stepping_O0");
  check_recursion("rt_stepping_O2");
}

TEST_CASE("an exception ends a step where it is caught: in the frame, or in one further out") {
  check_exceptions("rt_stepping_O0");
  check_exceptions("rt_stepping_O2");
  check_exceptions("rt_stepping_linked_O0");
}

TEST_CASE("other goroutines in the same function and a change of thread do not end a step") {
  for (const char* program : {"rt_stepping_O0", "rt_stepping_O2"}) {
    // 1 is main's, 2 to 7 are busy in stepped(), 8 is the first case.
    const auto gdb = session(
        program, {"set environment STACKTIDE_MAXPROCS 4",
                  fmt::format("tbreak {} if $_goroutine() == 8", line("int sum = opaque(value)").place), "run 6", kNext,
                  kNext, kNext, "print $_goroutine()", at("// migrates"), "continue", kNext, "print $_goroutine()", "bt 1"});
    CAPTURE(gdb.all());
    CHECK(without_threads(gdb.at(3)) == shown("// grows"));
    CHECK(without_threads(gdb.at(4)) == shown("sum = opaque(sum)"));
    CHECK(without_threads(gdb.at(5)) == shown("// grows again"));
    CHECK(gdb.at(6) == "$1 = 8\n");
    const auto after = line("// migrates").number + 1;
    CHECK(without_threads(gdb.at(9)) == fmt::format("{}\t  return opaque(sum);\n", after));
    CHECK(gdb.at(10) == "$2 = 11\n");
    CHECK(innermost(gdb.at(11)) == "migrating");
  }
}

TEST_CASE("goroutine next takes a count, and GDB's own breakpoints end it") {
  const auto gdb = session("rt_stepping_O0", {at("int sum = opaque(value)"), "run", "goroutine next 3", "tbreak deep", kNext,
                                              "bt 2", "goroutine next x", "goroutine next 0", kToTheEnd});
  CAPTURE(gdb.all());
  CHECK(without_threads(gdb.at(2)) == shown("// grows again"));
  CHECK(gdb.at(4).find("hit Temporary breakpoint 2, deep (") != std::string::npos);
  CHECK(innermost(gdb.at(5)) == "deep");
  CHECK(gdb.at(6) == "stacktide: goroutine next takes how many lines, as in: goroutine next 3\n");
  CHECK(gdb.at(7) == gdb.at(6));
  CHECK(gdb.at(8).find("all_done ()") != std::string::npos);
}

TEST_CASE("a signal ends a step, and the debugger goes on") {
  const GdbSession gdb({"tbreak polite", "run", "goroutine next 9", "goroutine", "goroutine list --users", "kill"},
                       {.arguments = {sample_program("deadlock")}});
  CAPTURE(gdb.all());
  CHECK(gdb.at(2).find("received signal SIGABRT") != std::string::npos);
  CHECK(gdb.at(4).find("chan receive") != std::string::npos);
}

TEST_CASE("finish prints what was returned: integers and floating point, of frames further out too") {
  for (const char* program : {"rt_stepping_O0", "rt_stepping_O2"}) {
    const auto gdb = session(program, {"tbreak deep", "run", "up", "goroutine finish", "tbreak halving", "continue",
                                       "goroutine finish", "bt 1", kToTheEnd});
    CAPTURE(gdb.all());
    CHECK(gdb.at(3).starts_with("Run till exit from #1  "));
    CHECK(last_line(gdb.at(3)) == "Value returned is $1 = 98\n");
    CHECK(last_line(gdb.at(6)) == "Value returned is $2 = 1\n");
    CHECK(innermost(gdb.at(7)) == "half_of");
    CHECK(gdb.at(8).find("all_done ()") != std::string::npos);
  }
}

TEST_CASE("finish of a parked goroutine runs until its frame returns, and next to its next line") {
  for (const char* program : {"rt_stepping_O0", "rt_stepping_O2"}) {
    const auto gdb = session(
        program, {"tbreak all_parked", "run", "goroutine 7", "up 2", "goroutine finish", "bt 1", "print $_goroutine()"});
    CAPTURE(gdb.all());
    CHECK(gdb.at(4).starts_with("Run till exit from #"));
    CHECK(last_line(gdb.at(4)) == "Value returned is $1 = 51\n");
    CHECK(innermost(gdb.at(5)) == "outer_waiting");
    CHECK(gdb.at(6) == "$2 = 7\n");

    const auto next = session(program, {"tbreak all_parked", "run", "goroutine 7", kNext, "bt 1", "print $_goroutine()"});
    CAPTURE(next.all());
    CHECK(last_line(without_threads(next.at(3))) == fmt::format("{}\t  first += deep(45);\n", line("// parks").number + 1));
    CHECK(innermost(next.at(4)) == "waiting");
    CHECK(next.at(5) == "$1 = 7\n");
  }
}

TEST_CASE("what cannot be stepped is said in one line") {
  const GdbSession none({kNext, "goroutine finish"});
  for (const std::size_t i : {0, 1}) {
    CHECK(none.at(i) == "stacktide: there is no process: start the program, attach to one, or load a core\n");
  }
  const auto gdb = session("rt_stepping_O0", {"tbreak main", "run", kNext, "goroutine finish", "goroutine finish now"});
  CAPTURE(gdb.all());
  CHECK(gdb.at(2) == "stacktide: thread 1 runs no goroutine: use GDB's own next\n");
  CHECK(gdb.at(3) == "stacktide: thread 1 runs no goroutine: use GDB's own finish\n");
  CHECK(gdb.at(4) == "stacktide: goroutine finish takes no arguments: it is about the selected frame\n");
}
