// `goroutine next` and `goroutine finish` in LLDB, while stacks move, are linked, and goroutines change threads; and what
// LLDB's own do.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "support/lldb.h"
#include "support/source.h"

using namespace stacktide::test;

namespace {

constexpr const char* kNext = "goroutine next";

SourceLine line(std::string_view text) { return source_line("rt_stepping.cpp", text); }
std::string at(std::string_view text) {
  return fmt::format("breakpoint set -o true -f rt_stepping.cpp -l {}", line(text).number);
}
std::string in(const std::string& function) { return "breakpoint set -o true -n " + function; }

LldbSession session(const std::string& program, const std::string& launch, std::vector<std::string> commands,
                    std::vector<std::string> env = {}) {
  commands.insert(commands.begin(), {"settings set stop-line-count-before 0", "settings set stop-line-count-after 0",
                                     "target create " + test_program(program)});
  for (auto& command : commands) {
    if (command == "run") command = "process launch -- " + launch;
  }
  return lldb(commands, {.env = std::move(env), .folder = {}});
}
// The first three commands are session()'s own.
const std::string& block(const LldbSession& lldb, std::size_t n) { return lldb[n + 3]; }

std::string place(const std::string& text) {
  const auto frames = frame_lines(text);
  return frames.empty() ? text : frames.front();
}

// Stops in stepped() and takes one line after the other, over two calls that need more stack.
void check_lines(const std::string& program, const std::string& next) {
  CAPTURE(program);
  CAPTURE(next);
  const auto lldb = session(program, "", {at("int sum = opaque(value)"), "run", next, next, next, "bt", "breakpoint list"},
                            {"STACKTIDE_SEGMENT=2048"});
  CAPTURE(lldb.out + lldb.err);
  CHECK(place(block(lldb, 2)) == line("// grows").place);
  CHECK(place(block(lldb, 3)) == line("sum = opaque(sum)").place);
  CHECK(place(block(lldb, 4)) == line("// grows again").place);
  CHECK(block(lldb, 5).find("`stepped(") != std::string::npos);
  CHECK(block(lldb, 6) == "No breakpoints currently set.\n");
}

}  // namespace

TEST_CASE("LLDB's own next and finish find the frame again when the stack has moved") {
  check_lines("rt_stepping_O0", "next");
  const auto lldb = session("rt_stepping_O0", "", {in("stepped"), "run", "finish"});
  CAPTURE(lldb.out + lldb.err);
  CHECK(block(lldb, 2).find("Return value: (int) $0 = 98\n") != std::string::npos);
}

TEST_CASE("goroutine next stops at each line while the calls move the stack, or link segments") {
  for (const char* level : {"O0", "O2"}) {
    check_lines(fmt::format("rt_stepping_{}", level), kNext);
    check_lines(fmt::format("rt_stepping_linked_{}", level), kNext);
  }
  const auto lldb = session("rt_stepping_O0", "", {at("int sum = opaque(value)"), "run", "goroutine next 3"});
  CHECK(place(block(lldb, 2)) == line("// grows again").place);
  CHECK(block(lldb, 2).find(", stop reason = goroutine next\n") != std::string::npos);
}

TEST_CASE("recursion into the same lines does not end a step, and finish leaves one level") {
  const auto at_one =
      fmt::format("breakpoint set -c 'depth == 1' -f rt_stepping.cpp -l {}", line("int got = opaque").number);
  const auto lldb = session("rt_stepping_O0", "", {at_one, "run", kNext, kNext, "bt", "goroutine finish", "bt"});
  CAPTURE(lldb.out + lldb.err);
  CHECK(place(block(lldb, 2)) == line("// recurses").place);
  CHECK(place(block(lldb, 3)) == line("got += deep(depth").place);
  CHECK(occurrences(block(lldb, 4), "`recursive(") == 3);
  CHECK(block(lldb, 5).ends_with("Return value: (int) 64\n"));
  CHECK(occurrences(block(lldb, 6), "`recursive(") == 2);
}

TEST_CASE("an exception ends a step where it is caught, in a frame further out") {
  for (const char* program : {"rt_stepping_O0", "rt_stepping_O2"}) {
    const auto lldb = session(program, "", {at("// throws"), "run", kNext, "bt", in("all_done"), "continue"});
    CAPTURE(lldb.out + lldb.err);
    const auto stopped = place(block(lldb, 2));
    CHECK((stopped == line("} catch (int thrown)").place || stopped == line("// caught").place));
    CHECK(block(lldb, 3).find("frame #0: ") != std::string::npos);
    CHECK(block(lldb, 3).find("`catching(") < block(lldb, 3).find("frame #1: "));
    CHECK(block(lldb, 5).find("`all_done") != std::string::npos);
  }
}

TEST_CASE("other goroutines in the same function and a change of thread do not end a step") {
  for (const char* program : {"rt_stepping_O0", "rt_stepping_O2"}) {
    const auto lldb = session(program, "3", {at("// migrates"), "run", kNext, "goroutine", "bt"}, {"STACKTIDE_MAXPROCS=4"});
    CAPTURE(lldb.out + lldb.err);
    CHECK(block(lldb, 2).find("`migrating(") != std::string::npos);
    CHECK(block(lldb, 3).starts_with("goroutine 8 "));
  }
}

TEST_CASE("breakpoints of the user's and the end of the program end a step, and nothing of it is left") {
  const auto lldb = session(
      "rt_stepping_O0", "",
      {at("int sum = opaque(value)"), "run", in("deep"), "goroutine finish", "breakpoint list", in("all_done"), "continue"});
  CAPTURE(lldb.out + lldb.err);
  CHECK(block(lldb, 3).starts_with("Process "));
  CHECK(block(lldb, 3).find(", stop reason = one-shot breakpoint 2\n") != std::string::npos);
  CHECK(block(lldb, 4) == "No breakpoints currently set.\n");
  CHECK(block(lldb, 6).find("`all_done") != std::string::npos);
  // One after the other, to the end of main's goroutine, which ends the program.
  const auto end = session("rt_stepping_O0", "", {in("all_done"), "run", "goroutine next 9", "goroutine list"});
  CAPTURE(end.out + end.err);
  // Under load lldb-server 19 may be gone before it has told the status: "exited with status = -1 ... lost connection".
  CHECK(block(end, 2).find(" exited with status = ") != std::string::npos);
  CHECK(end.err == "error: stacktide: there is no process: start one with `run`, attach to one, or open a core\n");
}

TEST_CASE("finish prints what was returned, and a parked goroutine runs until its frame returns") {
  for (const char* program : {"rt_stepping_O0", "rt_stepping_O2"}) {
    const auto lldb = session(program, "",
                              {in("halving"), "run", "goroutine finish", in("all_parked"), "continue", "goroutine 7", "up 3",
                               "goroutine finish", "goroutine", in("all_done"), "continue"});
    CAPTURE(lldb.out + lldb.err);
    CHECK(block(lldb, 2).ends_with("Return value: (double) 1\n"));
    CHECK(block(lldb, 7).find(", stop reason = goroutine finish\n") != std::string::npos);
    CHECK(block(lldb, 7).ends_with("Return value: (int) 52\n"));
    CHECK(block(lldb, 8).starts_with("goroutine 7 [running]"));
    CHECK(block(lldb, 10).find("`all_done") != std::string::npos);
  }
}

TEST_CASE("what cannot be stepped is said in one line") {
  const auto error = [](const std::vector<std::string>& commands) {
    const auto lldb = session("rt_stepping_O0", "", commands);
    CAPTURE(lldb.out + lldb.err);
    return lldb.err;
  };
  CHECK(error({kNext}) == "error: stacktide: there is no process: start one with `run`, attach to one, or open a core\n");
  CHECK(error({in("main"), "run", kNext}).starts_with("error: stacktide: thread "));
  CHECK(error({in("main"), "run", "goroutine finish"}).ends_with(" runs none: use LLDB's own finish\n"));
  CHECK(error({in("stepped"), "run", "goroutine next x"}) ==
        "error: stacktide: goroutine next takes how many lines, as in: goroutine next 3\n");
}
