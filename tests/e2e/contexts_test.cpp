// A goroutine as the context of the debugger's own commands, in every state that has a stack: parked, running, in a library
// call, in blocking(). In GDB and LLDB, live and on a core, at -O0 and -O2.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/stepper.h"

using namespace stacktide::test;

namespace {

struct Subject {
  int id;
  const char* function;  // that has the local `kept` of {10 * n, n}
  int n;
};
constexpr std::array<Subject, 4> kSubjects = {{{1, "blocked", 1}, {2, "parked", 2}, {3, "spinning", 3}, {4, "reading", 4}}};

Child start(const std::string& program) {
  auto child = Child::start({test_program(program)},
                            {.env = {"STACKTIDE_MAXPROCS=4", "STACKTIDE_TRACEBACK=none"}, .folder = {}, .core = true});
  child.wait_for_line("ready");
  reading_thread(child.pid());
  // 4 is another thread's: until it is in its call too, there is no frame of read().
  for (int tries = 0; tries < 1000; ++tries) {
    const auto bt = run({cli_program(), "bt", "4", "--pid", std::to_string(child.pid())}).out;
    if (bt.find(" read ") != std::string::npos || bt.find("__GI___libc_read") != std::string::npos) break;
  }
  return child;
}

// How many frames further out the function is than the innermost of a backtrace; -1 when it is not there.
int level_of(const std::string& backtrace, const std::string& function) {
  int level = 0;
  for (const auto& frame : gdb_frames(backtrace)) {
    if (frame.function == function) return level;
    ++level;
  }
  return -1;
}

void check_gdb(const std::vector<std::string>& arguments) {
  std::vector<std::string> commands;
  for (const auto& subject : kSubjects) commands.push_back(fmt::format("goroutine {} bt", subject.id));
  const GdbSession first(commands, {.arguments = arguments});
  CAPTURE(first.all());
  commands.clear();
  for (std::size_t i = 0; i < kSubjects.size(); ++i) {
    CHECK(outermost(first.at(i)) == "stacktide_goroutine_start");
    const int up = level_of(first.at(i), kSubjects[i].function);
    REQUIRE(up >= 0);
    commands.insert(commands.end(), {fmt::format("goroutine {}", kSubjects[i].id), "bt", fmt::format("up {}", up),
                                     "info locals", "print kept.first + kept.second", "up", "print above", "down",
                                     "print kept.second", "goroutine thread", "bt 1"});
  }
  const GdbSession gdb(commands, {.arguments = arguments});
  CAPTURE(gdb.all());
  for (std::size_t i = 0; i < kSubjects.size(); ++i) {
    const auto& subject = kSubjects[i];
    CAPTURE(subject.id);
    const auto at = [&](std::size_t n) { return gdb.at(i * commands.size() / kSubjects.size() + n); };
    const auto value = [&](std::size_t n, int number) { return fmt::format("${} = {}\n", 3 * i + n, number); };
    CHECK(at(0).starts_with(fmt::format("[Switching to goroutine {} [", subject.id)));
    if (subject.id != 3) CHECK(at(1) == first.at(i));  // 3 runs on between one debugger and the next
    CHECK(at(3).find(fmt::format("kept = {{first = {}, second = {}}}\n", subject.n * 10, subject.n)) != std::string::npos);
    CHECK(at(4) == value(1, subject.n * 11));
    CHECK(at(6) == value(2, 7));
    CHECK(at(8) == value(3, subject.n));
    CHECK(at(9).starts_with("[Switching to thread "));
    CHECK(at(10).starts_with("#0  "));
  }
}

// The number of the frame of this function in a backtrace of LLDB's; -1 when it is not there.
int frame_of(const std::string& backtrace, const std::string& function) {
  for (const auto& line : lines_of(backtrace)) {
    if (line.find(" [inlined] ") != std::string::npos) continue;  // bears the name of the function that it is inlined into
    const auto at = line.find("frame #");
    if (at != std::string::npos && line.find("`" + function + "(") != std::string::npos)
      return std::stoi(line.substr(at + 7));
  }
  return -1;
}

void check_lldb(const std::string& open) {
  std::vector<std::string> commands = {open};
  for (const auto& subject : kSubjects) commands.push_back(fmt::format("goroutine {} bt", subject.id));
  const auto first = lldb(commands);
  CAPTURE(first.out + first.err);
  commands = {open};
  for (std::size_t i = 0; i < kSubjects.size(); ++i) {
    CHECK(first[i + 1].find("`stacktide_goroutine_start") != std::string::npos);
    const int level = frame_of(first[i + 1], kSubjects[i].function);
    REQUIRE(level >= 0);
    commands.insert(commands.end(), {fmt::format("goroutine {}", kSubjects[i].id), "bt",
                                     fmt::format("frame select {}", level), "frame variable kept", "up",
                                     "frame variable above", "down", "frame variable kept.second", "goroutine thread"});
  }
  const auto session = lldb(commands);
  CAPTURE(session.out + session.err);
  for (std::size_t i = 0; i < kSubjects.size(); ++i) {
    const auto& subject = kSubjects[i];
    CAPTURE(subject.id);
    const auto at = [&](std::size_t n) { return session[1 + i * (commands.size() - 1) / kSubjects.size() + n]; };
    CHECK(at(0).starts_with(fmt::format("goroutine {} [", subject.id)));
    if (subject.id != 3) CHECK(frame_lines(at(1)) == frame_lines(first[i + 1]));
    CHECK(at(3).find(fmt::format("kept = (first = {}, second = {})\n", subject.n * 10, subject.n)) != std::string::npos);
    CHECK(at(5).find("above = 7\n") != std::string::npos);
    CHECK(at(7).find(fmt::format("kept.second = {}\n", subject.n)) != std::string::npos);
    CHECK(at(8).starts_with("* thread #"));
  }
}

void check(const std::string& program) {
  auto child = start(program);
  check_gdb({"-p", std::to_string(child.pid())});
  check_lldb(fmt::format("process attach --pid {}", child.pid()));
  const auto core = make_core(child);
  check_gdb({test_program(program), core});
  check_lldb(fmt::format("target create -c {} {}", core, test_program(program)));
}

}  // namespace

TEST_CASE("goroutines in every state are contexts for bt, up, locals and print, live and on a core, at -O0") {
  check("rt_contexts_O0");
}

TEST_CASE("goroutines in every state are contexts for bt, up, locals and print, live and on a core, at -O2") {
  check("rt_contexts_O2");
}
