// Plain `bt` of an unmodified GDB and LLDB, without a command of ours, from everywhere below a goroutine down to its entry.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/process.h"

using namespace stacktide::test;

namespace {

constexpr int kLevels = 31;  // calls of level() in rt_frames
constexpr const char* kPrograms[] = {"rt_frames_plain_O0", "rt_frames_plain_O2", "rt_frames_movable_O0",
                                     "rt_frames_movable_O2"};
constexpr Timeout kDebugger{120'000};

struct Debugger {
  const char* name;
  std::vector<std::string> start;
  const char* run;     // before each command
  const char* launch;  // starts the program with the argument %s
  const char* newstack;
  const char* again;
  const char* backtrace;
  const char* all;
};

const Debugger kGdb{"gdb",
                    {"gdb", "-nx", "-batch", "-iex", "set width 0", "-iex", "set pagination off"},
                    "-ex",
                    "run ",
                    "break stacktide_newstack",
                    "continue",
                    "bt",
                    "thread apply all bt"};
const Debugger kLldb{"lldb", {"lldb-19", "-x", "-b"}, "-o", "run ", "breakpoint set -n stacktide_newstack", "continue",
                     "bt",   "thread backtrace all"};

// The session's standard output.
std::string session(const Debugger& debugger, std::vector<std::string> arguments, const std::vector<std::string>& commands) {
  std::vector<std::string> argv = debugger.start;
  for (const std::string& command : commands) {
    // A batch LLDB runs nothing more after a crash but these.
    const bool after_crash =
        debugger.name == std::string("lldb") && &command != &commands.front() && commands.front().ends_with(" abort");
    argv.push_back(after_crash ? "-k" : debugger.run);
    argv.push_back(command);
  }
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run(argv, kDebugger, {.env = {"STACKTIDE_SEGMENT=2048", "STACKTIDE_MAXPROCS=2"}, .folder = {}, .core = false}).out;
}

std::vector<std::string> lines_with(const std::string& text, const std::string& part) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (const std::string line = text.substr(at, end - at); line.find(part) != std::string::npos) lines.push_back(line);
    at = end + 1;
  }
  return lines;
}

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// Frames of level(), in either debugger's words.
int levels_in(const std::string& text) { return count(text, " level (") + count(text, "`level("); }

// Does one backtrace lead through `levels` calls of level() and entry() to the goroutine's start?
void check_complete(const std::string& text, int levels) {
  INFO(text);
  CHECK(levels_in(text) == levels);
  CHECK(count(text, " entry (") + count(text, "`entry(") == 1);
  CHECK(count(text, "stacktide_goroutine_start") == 1);
  CHECK(text.find("inner to this frame") == std::string::npos);
  CHECK(text.find("corrupt stack") == std::string::npos);
}

}  // namespace

TEST_CASE("bt leads from abort() in libc to the goroutine's entry") {
  for (const Debugger* debugger : {&kGdb, &kLldb}) {
    for (const char* program : kPrograms) {
      CAPTURE(debugger->name);
      CAPTURE(program);
      const std::string text =
          session(*debugger, {test_program(program)}, {debugger->launch + std::string("abort"), debugger->backtrace});
      // LLDB prints the top frame when it stops, too.
      check_complete(text, kLevels);
      CHECK(!lines_with(text, "abort").empty());
    }
  }
}

TEST_CASE("bt of an attached process leads from read() in libc to the goroutine's entry") {
  for (const Debugger* debugger : {&kGdb, &kLldb}) {
    for (const char* program : kPrograms) {
      CAPTURE(debugger->name);
      CAPTURE(program);
      Child child =
          Child::start({test_program(program), "read"}, {.env = {"STACKTIDE_MAXPROCS=2"}, .folder = {}, .core = false});
      child.wait_for_line("ready");
      // `ready` comes before the goroutine is in read(): wait until its thread is.
      std::string text;
      for (int attempt = 0; attempt < 10 && levels_in(text) != kLevels; ++attempt) {
        text = session(*debugger, {"-p", std::to_string(child.pid())}, {debugger->all});
      }
      check_complete(text, kLevels);
      child.close_stdin();
      CHECK(child.wait() == 0);
    }
  }
}

TEST_CASE("bt leads from the function that grows or links a stack, inside __morestack, to the goroutine's entry") {
  for (const Debugger* debugger : {&kGdb, &kLldb}) {
    for (const char* program : kPrograms) {
      CAPTURE(debugger->name);
      CAPTURE(program);
      // The first growth in the recursion, and the one after it: there, segments have been linked or the stack has moved.
      std::vector<std::string> commands = {debugger->newstack, debugger->launch + std::string("grow")};
      for (int i = 0; i < 4; ++i) {
        commands.push_back(debugger->backtrace);
        commands.push_back(debugger->again);
      }
      const std::string text = session(*debugger, {test_program(program)}, commands);
      INFO(text);
      const int stops = count(text, "stacktide_goroutine_start");
      CHECK(stops >= 2);
      CHECK(count(text, "__morestack") >= stops);
      CHECK(levels_in(text) > 0);
      CHECK(text.find("inner to this frame") == std::string::npos);
      CHECK(text.find("corrupt stack") == std::string::npos);
    }
  }
}

TEST_CASE("each instruction of a growth and of the way back has a backtrace to the goroutine's entry in GDB") {
  for (const char* program : kPrograms) {
    CAPTURE(program);
    const Output output = run({"gdb", "-nx", "-batch", "-x",
                               std::string(STACKTIDE_SOURCE_DIR) + "/tests/e2e/runtime_step_gdb.py", test_program(program)},
                              kDebugger);
    INFO(output.out << output.err);
    const auto result = lines_with(output.out, "steps ");
    REQUIRE(result.size() == 1);
    const bool linked = std::string(program).find("plain") != std::string::npos;
    CHECK(std::stoi(result[0].substr(6)) >= (linked ? 80 : 70));
    CHECK(result[0].ends_with(" wrong 0"));
  }
}

TEST_CASE("each instruction of a growth and of the way back has a backtrace to the goroutine's entry in LLDB") {
  for (const char* program : kPrograms) {
    CAPTURE(program);
    const Output output =
        run({"lldb-19", "-x", "-b", "-o",
             "command script import " + std::string(STACKTIDE_SOURCE_DIR) + "/tests/e2e/runtime_step_lldb.py",
             test_program(program)},
            kDebugger);
    INFO(output.out << output.err);
    const auto result = lines_with(output.out, "steps ");
    REQUIRE(result.size() == 1);
    CHECK(std::stoi(result[0].substr(result[0].find("steps ") + 6)) >= 70);
    CHECK(result[0].ends_with(" wrong 0"));
  }
}
