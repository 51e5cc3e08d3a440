// STACKTIDE_FREED: what a stale pointer into a freed stack finds. Unmapped, it faults, and the report says whose stack it was.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <csignal>
#include <string>

#include "support/process.h"

using namespace stacktide::test;

namespace {

Output run_stale(const std::string& program, const std::string& how, const std::string& freed) {
  StartOptions options;
  options.env = {"STACKTIDE_MAXPROCS=1", "STACKTIDE_FREED=" + freed};
  return run({test_program(program), how}, kTimeout, options);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("reused: a stale pointer finds what happens to be there; poisoned: 0xee") {
  for (const char* program : {"rt_stale_O0", "rt_stale_O2"}) {
    for (const char* how : {"moved", "ended"}) {
      CAPTURE(program);
      CAPTURE(how);
      const Output reused = run_stale(program, how, "reuse");
      CHECK(reused.exit_code == 0);
      CHECK(reused.out.starts_with("found "));
      const Output poisoned = run_stale(program, how, "poison");
      CHECK(poisoned.exit_code == 0);
      CHECK(poisoned.out == "found 0xee\n");
    }
  }
}

TEST_CASE("unmapped: it faults, and the report names the goroutine that left the stack") {
  for (const char* program : {"rt_stale_O0", "rt_stale_O2"}) {
    CAPTURE(program);
    const Output moved = run_stale(program, "moved", "unmap");
    INFO(moved.err);
    CHECK(moved.exit_code == 128 + SIGSEGV);
    CHECK(moved.out.empty());
    CHECK(contains(moved.err, "lies in a stack that goroutine 1 has left: [0x"));
    CHECK(contains(moved.err, "left by a growth"));
    CHECK(contains(moved.err, "the object is now at 0x"));
    const Output ended = run_stale(program, "ended", "unmap");
    INFO(ended.err);
    CHECK(ended.exit_code == 128 + SIGSEGV);
    CHECK(ended.out.empty());
    CHECK(contains(ended.err, "lies in a stack that goroutine 2 gave back: [0x"));
  }
}

TEST_CASE("what makes no sense is refused") {
  const Output output = run_stale("rt_stale_O2", "moved", "burn");
  CHECK(output.exit_code == 128 + SIGABRT);
  CHECK(contains(output.err, "STACKTIDE_FREED=burn: wants reuse, poison or unmap"));
}
