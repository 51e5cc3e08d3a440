// The warning after a step of GDB's own during which the stack moved; nothing is said after other commands.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "support/gdb.h"
#include "support/source.h"

using namespace stacktide::test;

namespace {

constexpr const char* kCure = "use goroutine next, or run with STACKTIDE_MINSTACK=1M";

std::string place(std::string_view text) { return source_line("rt_stepping.cpp", text).place; }

// What stacktide said of its own accord.
std::string said(const std::string& text) {
  std::string result;
  for (const auto& line : lines_of(text)) {
    if (line.starts_with("stacktide: ")) result += line + "\n";
  }
  return result;
}

GdbSession session(const std::vector<std::string>& commands, bool load = true) {
  return GdbSession(commands, {.arguments = {test_program("rt_stepping_O0")}, .commands = load});
}

// Stops in stepped() at its first call that needs room, and then where that call is deepest, after three moves.
std::vector<std::string> to_the_deepest(const std::string& command) {
  return {"tbreak " + place("// grows"),
          "run",
          fmt::format("tbreak {} if depth == 0", place("const int below")),
          command,
          "bt 1",
          "kill"};
}

}  // namespace

TEST_CASE("a step of GDB's own during which the stack moved is warned of, whatever command and abbreviation it was") {
  for (const char* command : {"next", "n", "next 3", "finish", "until", "advance all_done"}) {
    CAPTURE(std::string(command));
    const auto gdb = session(to_the_deepest(command));
    CAPTURE(gdb.all());
    CHECK(said(gdb.at(3)) ==
          fmt::format(
              "stacktide: the stack of goroutine 2 moved (2048 -> 16384 bytes) during this step: GDB may have lost the "
              "frame; {}\n",
              kCure));
    CHECK(innermost(gdb.at(4)) == "deep");
  }
}

// Not through the exit, where GDB 13 sometimes fails when a thread other than the first ends the program.
const std::string kContinue = "python gdb.Breakpoint('all_done', temporary=True); gdb.execute('continue')";

TEST_CASE("continue, and goroutine next, are not steps of GDB's own") {
  for (const std::string& command : {kContinue, std::string("goroutine next"), std::string("stepi")}) {
    CAPTURE(command);
    const auto gdb = session(to_the_deepest(command));
    CAPTURE(gdb.all());
    CHECK(said(gdb.all()) == "");
  }
}

TEST_CASE("a step after which its goroutine is no more says what may have happened") {
  const auto text =
      fmt::format("stacktide: goroutine 2 ended during this step: if its stack moved, GDB lost the frame; {}\n", kCure);
  const auto gdb = session({"tbreak " + place("// grows"), "run", "tbreak catching", "next", "next", kContinue});
  CAPTURE(gdb.all());
  CHECK(said(gdb.at(3)) == text);
  CHECK(said(gdb.at(4)) == "");
  const auto end = session({"tbreak " + place("// grows"), "run", "next", "info goroutines"});
  CAPTURE(end.all());
  CHECK(end.at(2).find("exited normally") != std::string::npos);
  CHECK(said(end.at(2)) == text);
}

TEST_CASE("with STACKTIDE_MINSTACK=1M nothing moves, and GDB's own next is right") {
  const auto gdb =
      session({"set environment STACKTIDE_MINSTACK 1M", "tbreak " + place("// grows"), "run", "next", "next", "finish"});
  CAPTURE(gdb.all());
  const auto next = source_line("rt_stepping.cpp", "// grows again");
  CHECK(gdb.at(4) == fmt::format("{}\t{}\n", next.number, next.text));
  CHECK(lines_of(gdb.at(5)).back() == "Value returned is $1 = 98");
  CHECK(said(gdb.all()) == "");
}

TEST_CASE("a hook that the user has defined for a step stays") {
  const auto gdb = session(
      {"python gdb.execute(\"define hook-next\\necho mine\\\\n\\nend\")", "source " + gdb_script(),
       "tbreak " + place("// grows"), "run", fmt::format("tbreak {} if depth == 0", place("const int below")), "next"},
      false);
  CAPTURE(gdb.all());
  CHECK(gdb.at(5).starts_with("mine\n"));
  CHECK(said(gdb.at(5)) == "");
}
