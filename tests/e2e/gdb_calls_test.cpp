// `print f(7)` in GDB runs f on the stack where the thread stands; on a goroutine's there may be little room, and then GDB
// says so.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <regex>

#include "support/gdb.h"
#include "support/process.h"

using namespace stacktide::test;

namespace {

GdbSession call_in_goroutine(const std::string& minimum) {
  return GdbSession({"set breakpoint pending on", "set env STACKTIDE_MINSTACK=" + minimum, "break bottom", "run abort",
                     "print (int)isatty(99)", "up-silently 40", "print (int)isatty(98)", "kill"},
                    {.arguments = {test_program("rt_frames_movable_O0")}});
}

}  // namespace

TEST_CASE("a call on a goroutine's small stack is announced with the room that is left") {
  const GdbSession gdb = call_in_goroutine("2048");
  CAPTURE(gdb.all());
  const std::regex expected(
      "stacktide: warning: this call runs on the stack of goroutine 2, which has ([0-9]+) bytes left: run the program with "
      "STACKTIDE_MINSTACK=1M\n\\$[12] = 0\n");
  CHECK(std::regex_match(gdb.of("print (int)isatty(99)"), expected));
  // The call is made on the thread's stack, whichever frame is selected.
  CHECK(std::regex_match(gdb.of("print (int)isatty(98)"), expected));
}

TEST_CASE("nothing is said where there is room, or no goroutine") {
  const GdbSession roomy = call_in_goroutine("1M");
  CAPTURE(roomy.all());
  CHECK(roomy.of("print (int)isatty(99)") == "$1 = 0\n");
  const GdbSession outside({"break main", "run", "print (int)isatty(99)", "kill"},
                           {.arguments = {test_program("rt_frames_movable_O0")}});
  CAPTURE(outside.all());
  CHECK(outside.of("print (int)isatty(99)") == "$1 = 0\n");
}
