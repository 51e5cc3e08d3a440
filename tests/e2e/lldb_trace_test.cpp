// `goroutine trace` in a real LLDB against the program's own count.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "support/lldb.h"
#include "support/process.h"

using namespace stacktide::test;

namespace {

// The program writes to a file: what it prints through LLDB comes whenever LLDB's threads pass it on.
struct Program {
  TempDir folder;
  std::string file = folder / "printed";
  std::string create = "target create " + sample_program("grow");

  std::string launch(const std::string& options, const std::string& arguments) const {
    return "process launch " + options + " --stdout " + file + " -- " + arguments;
  }
  std::string printed() const {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

// samples/grow's last line: what its runtime counted.
struct Counted {
  unsigned long grows = 0;
  unsigned long links = 0;
  unsigned long shrinks = 0;
};

Counted counted(const std::string& printed) {
  Counted counts;
  const auto at = printed.find("the runtime counted ");
  REQUIRE(at != std::string::npos);
  REQUIRE(std::sscanf(printed.c_str() + at, "the runtime counted %lu grows, %lu links, %lu shrinks", &counts.grows,
                      &counts.links, &counts.shrinks) == 3);
  return counts;
}

// The lines of stack events, checked to be whole, and in the order in which the one goroutine's stack changed.
void check_events(const std::string& text, const Counted& counts) {
  Counted seen;
  unsigned long size = 2048;
  for (const auto& line : lines_of(text)) {
    unsigned long before = 0;
    unsigned long after = 0;
    unsigned long used = 0;
    if (line.find("goroutine 1 ") == std::string::npos) continue;
    if (std::sscanf(line.c_str(), "goroutine 1 grew %lu -> %lu bytes, used %lu, in", &before, &after, &used) == 3) {
      ++seen.grows;
      CHECK(line.find("grow.cpp:") != std::string::npos);
      CHECK(after > before);
    } else if (std::sscanf(line.c_str(), "goroutine 1 shrank %lu -> %lu bytes, used %lu", &before, &after, &used) == 3) {
      ++seen.shrinks;
      CHECK(after < before);
    } else {
      FAIL_CHECK(line);
    }
    CHECK(before == size);
    CHECK(used <= before);
    size = after;
  }
  CHECK(seen.grows == counts.grows);
  CHECK(seen.shrinks == counts.shrinks);
}

void check_trace(const Program& program, const std::string& live, const std::string& show) {
  const Counted counts = counted(program.printed());
  CHECK(counts.grows > 0);
  CHECK(counts.shrinks > 0);
  CHECK(counts.links == 0);
  check_events(live, counts);
  CHECK(occurrences(show, "  grow ") == counts.grows);
  CHECK(occurrences(show, "  shrink ") == counts.shrinks);
  CHECK(show.ends_with(fmt::format("\n{} stack events: {} grew, {} shrank; 0 lost; 1 stop; tracing is on\n",
                                   counts.grows + counts.shrinks, counts.grows, counts.shrinks)));
}

}  // namespace

TEST_CASE("a trace set before the program runs prints exactly the growths and shrinks that the program counted") {
  const Program program;
  const auto session = lldb({program.create, "goroutine trace on", program.launch("", "1000 2"), "goroutine trace show"});
  CHECK(session[1] == "tracing stack events once the program runs\n");
  check_trace(program, session[2], session[3]);
}

TEST_CASE("a trace set on a process that has started prints the same") {
  const Program program;
  const auto session = lldb({program.create, program.launch("--stop-at-entry", "2000"), "goroutine trace on",
                             "goroutine trace on", "continue", "goroutine trace show"});
  CHECK(session[2] == "tracing stack events\n");
  CHECK(session[3] == "tracing stack events already\n");
  check_trace(program, session[4], session[5]);
}

TEST_CASE("a trace that is off prints nothing and leaves no breakpoint") {
  const Program program;
  const auto session = lldb({program.create, "goroutine trace on", "goroutine trace off", "breakpoint list",
                             program.launch("", "1000"), "goroutine trace show"});
  CHECK(session[3].find("No breakpoints currently set.") != std::string::npos);
  CHECK(counted(program.printed()).grows > 0);
  CHECK(occurrences(session[4], "goroutine 1 ") == 0);
  CHECK(session[5] == "0 stack events; 0 lost; 0 stops; tracing is off\n");
}
