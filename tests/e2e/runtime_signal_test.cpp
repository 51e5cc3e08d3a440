// SIGQUIT shows all goroutines; a signal at any instruction of a stack switch changes nothing; who installs handlers gets
// them on the signal stack.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <regex>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/single_step.h"

using namespace stacktide::test;

namespace {

constexpr const char* kLevels[] = {"O0", "O2"};

Child start_quit(const std::string& level, const std::vector<std::string>& arguments = {}) {
  std::vector<std::string> argv = {test_program("rt_signal_quit_" + level)};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Child child = Child::start(argv, {.env = {"STACKTIDE_MAXPROCS=4"}, .folder = {}, .core = false});
  child.wait_for_line("ready");
  return child;
}

}  // namespace

TEST_CASE("SIGQUIT shows every goroutine, running ones too, and exits with 2") {
  for (const char* level : kLevels) {
    CAPTURE(level);
    Child child = start_quit(level);
    child.signal(SIGQUIT);
    CHECK(child.wait() == 2);
    const std::string text = std::regex_replace(child.output(), std::regex("\n\t[^\n]*/([^/\n]*)"), "\n\t$1");
    INFO(text);
    CHECK(std::regex_search(text,
                            std::regex("^ready\nSIGQUIT: quit\nPC=0x[0-9a-f]+ m=(-|[0-9]+) sigcode=0\n\ngoroutine 1 \\[")));
    // "running" as long as the monitor has not seen that the call lasts.
    for (const char* wanted :
         {"\ngoroutine 2 \\[chan receive\\]:\n", "\ngoroutine 3 \\[chan receive, locked to thread\\]:\n",
          "\ngoroutine 4 \\[(running|syscall)\\]:\n[^[]*read[^[]*\nread_for_ever\n\trt_signal_quit.cpp:[0-9]+\n"
          "created by operator\\(\\) in goroutine 1\n",
          "\ngoroutine 5 \\[syscall\\]:\n[^[]*read[^[]*\nblock_for_ever\n\trt_signal_quit.cpp:[0-9]+\ncreated by "
          "operator\\(\\) in goroutine 1\n",
          "\ngoroutine 6 \\[running\\]:\nspin\n\trt_signal_quit.cpp:[0-9]+\ncreated by operator\\(\\) in goroutine "
          "1\n\trt_signal_quit.cpp:[0-9]+\n",
          "\n\nrax    0x[0-9a-f]+\n(r[a-z0-9]+ +0x[0-9a-f]+\n)+$"}) {
      CAPTURE(wanted);
      CHECK(std::regex_search(text, std::regex(wanted)));
    }
    CHECK(text.find("unavailable") == std::string::npos);
  }
}

TEST_CASE("a thread that does not answer is not waited for") {
  Child child = start_quit("O2", {"deaf"});
  child.signal(SIGQUIT);
  CHECK(child.wait() == 2);
  INFO(child.output());
  CHECK(child.output().find("\ngoroutine 7 [running]:\n\tgoroutine running on other thread; stack unavailable\ncreated by "
                            "operator() in goroutine 1\n") != std::string::npos);
  CHECK(child.output().find("\ngoroutine 6 [running]:\nspin\n") != std::string::npos);
}

TEST_CASE("SIGQUIT reaches a program that a shell has started in the background, where it is ignored") {
  const auto start = [](const std::string& argument) {
    const std::string command = "trap '' QUIT; exec " + test_program("rt_signal_quit_O2") + " " + argument;
    Child child = Child::start({"sh", "-c", command}, {.env = {"STACKTIDE_MAXPROCS=4"}, .folder = {}, .core = false});
    child.wait_for_line("ready");
    return child;
  };
  Child child = start("");
  child.signal(SIGQUIT);
  CHECK(child.wait() == 2);
  // Unless the program itself says that it ignores it.
  Child deliberate = start("ignore");
  deliberate.signal(SIGQUIT);
  deliberate.signal(SIGTERM);
  CHECK(deliberate.wait() == 128 + SIGTERM);
  CHECK(deliberate.output() == "ready\n");
}

TEST_CASE("a program's own handler of SIGQUIT stays") {
  Child child = start_quit("O2", {"own"});
  child.signal(SIGQUIT);
  CHECK(child.wait() == 42);
  CHECK(child.output() == "ready\n");
}

TEST_CASE("a signal before every instruction that switches stacks changes nothing") {
  const struct {
    const char* program;
    const char* depth;  // of the recursion: each call's check moves the stack under stress
    std::vector<std::string> env;
  } cases[] = {
      {"rt_signal_O2", "60", {}},                                // links segments
      {"rt_signal_O2", "60", {"STACKTIDE_POLICY=contiguous"}},   // copies
      {"rt_signal_movable_O0", "2", {"STACKTIDE_STRESS=move"}},  // copies at every check
  };
  for (const auto& c : cases) {
    CAPTURE(c.program);
    std::vector<std::string> env = c.env;
    env.push_back("STACKTIDE_MAXPROCS=1");
    const StepReport report =
        step_with_signals({test_program(c.program), "step", c.depth},
                          {"__morestack", "stacktide_", "__wrap_", "__x86_indirect_thunk_"}, SIGUSR1, env);
    CHECK(report.problem == "");
    CHECK(report.exit_code == 0);
    MESSAGE(report.steps << " steps, " << report.delivered << " signals, at " << report.instructions.size()
                         << " instructions");
    const auto in = [&](const std::string& function) {
      return std::ranges::count_if(report.instructions,
                                   [&](const std::string& at) { return at.starts_with(function + "+"); });
    };
    CHECK(in("__morestack") >= 130);
    CHECK(in("stacktide_schedule") >= 15);
    CHECK(in("stacktide_gopark") >= 7);
    CHECK(in("__wrap_snprintf") >= 2);
    CHECK(in("__x86_indirect_thunk_rax") + in("__x86_indirect_thunk_rdx") + in("__x86_indirect_thunk_rcx") >= 5);
  }
}
