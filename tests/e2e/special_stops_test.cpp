// Stops at which there is little to show, or in the middle of something: in both debuggers, with the same text where it is
// core's, and usable afterwards. What a target without the runtime says stands in gdb_errors_test and lldb_errors_test.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/park.h"
#include "support/source.h"

using namespace stacktide::test;

namespace {

constexpr const char* kProgram = "rt_stepping_O0";
constexpr const char* kNoProcess = "stacktide: there is no process: start the program, attach to one, or load a core\n";
constexpr const char* kNoProcessLldb =
    "error: stacktide: there is no process: start one with `run`, attach to one, or open a core\n";

std::string attach(const Child& child) { return fmt::format("attach {}", child.pid()); }
std::string process_attach(const Child& child) { return fmt::format("process attach --pid {}", child.pid()); }
std::string in_program(const std::string& function) { return "breakpoint set -o true -n " + function; }
std::string launch(const std::string& program) { return "target create " + program; }

// LLDB in batch mode ends at the first error, but for commands of a file.
class Sourced {
 public:
  explicit Sourced(const std::vector<std::string>& commands) {
    std::ofstream file(folder_ / "commands");
    for (const auto& command : commands) file << command << "\n";
  }
  std::string command() const { return "command source -e false -s false " + (folder_ / "commands"); }

 private:
  TempDir folder_;
};

// What a command of the file printed.
std::string block(const std::string& text, const std::string& command) {
  const auto begin = text.find("(lldb) " + command + "\n");
  if (begin == std::string::npos) return "";
  const auto start = begin + command.size() + 8;
  return text.substr(start, text.find("(lldb) ", start) - start);
}

std::string last(const std::string& text) {
  const auto lines = lines_of(text);
  return lines.empty() ? "" : lines.back();
}

std::string row(const std::string& text, const std::string& id) {
  for (const auto& line : lines_of(text)) {
    const auto start = line.find_first_not_of(" *");
    if (start != std::string::npos && line.substr(start).starts_with(id + "  ")) return line;
  }
  return "";
}

// In the middle of a copy: after the new stack was made and before the words in it are adjusted.
void check_copy_list(const std::string& list) {
  const auto found = row(list, "2");
  CHECK(found.starts_with("*"));
  CHECK(found.find("  copystack  ") != std::string::npos);
  CHECK(list.find("\n2 goroutines: 1 copystack, 1 ") != std::string::npos);
}
void check_copy_bt(const std::string& bt) {
  const auto lines = lines_of(bt);
  REQUIRE(lines.size() > 4);
  CHECK(lines[0] == "goroutine 2 [copystack]:");
  CHECK(lines[2].find("in __morestack at ") != std::string::npos);
  CHECK(lines[3].find("in deep (depth=0) at ") != std::string::npos);
  CHECK(bt.find("in stacktide_goroutine_start at ") != std::string::npos);
}
void check_copy_stack(const std::string& stack) {
  CHECK(stack.starts_with("goroutine 2 [copystack]: deep at rt_stepping.cpp:"));
  CHECK(stack.find("\n  size         2048 bytes in 1 segment, ") != std::string::npos);
  CHECK(stack.find("\n  counters     0 grows, ") != std::string::npos);
}

}  // namespace

TEST_CASE("in the middle of a copy GDB lists, unwinds, draws and selects the goroutine, steps it and goes on") {
  const GdbSession gdb(
      {"tbreak copy_by_maps", "run", "goroutine", "info goroutines", "goroutine bt 2", "goroutine stack 2", "goroutine 2",
       "up 3", "print depth", "goroutine thread", "goroutine next", "info goroutines", "continue", "info goroutines"},
      {.arguments = {test_program(kProgram)}});
  CAPTURE(gdb.all());
  CHECK(gdb.at(2).starts_with("[Current goroutine is 2 [copystack] "));
  check_copy_list(gdb.at(3));
  check_copy_bt(gdb.at(4));
  check_copy_stack(gdb.at(5));
  CHECK(gdb.at(6).starts_with("[Switching to goroutine 2 [copystack] "));
  CHECK(gdb.at(8) == "$1 = 37\n");
  CHECK(gdb.at(9).starts_with("[Switching to thread "));
  const auto line = source_line("rt_stepping.cpp", "room[0] = 1");
  CHECK(last(gdb.at(10)) == fmt::format("{}\t{}", line.number, line.text));
  CHECK(row(gdb.at(11), "2").find("  4096  ") != std::string::npos);
  CHECK(gdb.at(12).find("exited normally") != std::string::npos);
  CHECK(gdb.at(13) == kNoProcess);
}

TEST_CASE("in the middle of a copy LLDB lists, unwinds, draws and selects the goroutine, steps it and goes on") {
  const auto session =
      lldb({launch(test_program(kProgram)), "breakpoint set -o true -n copy_by_maps", "process launch", "goroutine",
            "goroutine list", "goroutine bt 2", "goroutine stack 2", "goroutine 2", "up 3", "frame variable depth",
            "goroutine thread", "goroutine next", "goroutine list", "continue", "goroutine list"});
  CAPTURE(session.out + session.err);
  CHECK(session[3].starts_with("goroutine 2 [copystack] "));
  check_copy_list(session[4]);
  check_copy_bt(session[5]);
  check_copy_stack(session[6]);
  CHECK(session[7].starts_with("goroutine 2 [copystack] "));
  CHECK(session[9] == "(int) depth = 37\n");
  CHECK(frame_lines(session[11]) == std::vector{source_line("rt_stepping.cpp", "room[0] = 1").place});
  CHECK(row(session[12], "2").find("  4096  ") != std::string::npos);
  CHECK(session[13].find("exited with status = 0") != std::string::npos);
  // It says that the record is being changed, each time that it is read.
  CHECK(session.err.starts_with("warning: stacktide: goroutine 2: changing while it is read at 0x"));
  CHECK(session.err.ends_with(kNoProcessLldb));
}

// One goroutine is busy and main's waits for it, so that threads have nothing to do.
TEST_CASE("in the scheduler no goroutine runs on the thread, and the others are there") {
  const GdbSession gdb(
      {"set environment STACKTIDE_MAXPROCS 4", "break sleep_m", "run 1 20000", "goroutine", "print $_goroutine()",
       "goroutine stack", "goroutine next", "goroutine finish", "info goroutines", "goroutine 1", "delete", "continue"},
      {.arguments = {test_program(kProgram)}});
  CAPTURE(gdb.all());
  CHECK(gdb.at(3).starts_with("[No goroutine is selected; thread "));
  CHECK(gdb.at(4) == "$1 = 0\n");
  CHECK(gdb.at(5) == "stacktide: stack: which goroutine? give its id (see help)\n");
  CHECK(gdb.at(6).find(" runs no goroutine: use GDB's own next\n") != std::string::npos);
  CHECK(gdb.at(7).find(" runs no goroutine: use GDB's own finish\n") != std::string::npos);
  CHECK(row(gdb.at(8), "1") != "");
  CHECK(gdb.at(8).find("*") == std::string::npos);
  CHECK(gdb.at(9).starts_with("[Switching to goroutine 1 ["));
  CHECK(gdb.at(11).find("exited normally") != std::string::npos);

  const Sourced errors({"goroutine stack", "goroutine next", "goroutine finish", "goroutine list", "goroutine 1"});
  const auto session = lldb({launch(test_program(kProgram)), in_program("sleep_m"), "process launch -- 1 20000", "goroutine",
                             errors.command(), "continue"},
                            {.env = {"STACKTIDE_MAXPROCS=4"}, .folder = {}});
  CAPTURE(session.out + session.err);
  CHECK(session[3].starts_with("no goroutine is selected: thread "));
  CHECK(session.err.find("error: stacktide: stack: which goroutine? give its id (see help)\n") != std::string::npos);
  CHECK(session.err.find(" runs none: use LLDB's own next\n") != std::string::npos);
  CHECK(session.err.find(" runs none: use LLDB's own finish\n") != std::string::npos);
  CHECK(row(block(session.out, "goroutine list"), "1") != "");
  CHECK(block(session.out, "goroutine list").find("*") == std::string::npos);
  CHECK(block(session.out, "goroutine 1").starts_with("goroutine 1 ["));
  CHECK(session.out.find("exited with status = 0") != std::string::npos);
}

TEST_CASE("a process that exited has no goroutines, and the next run has its own") {
  const std::vector<std::string> commands = {"info goroutines", "goroutine", "goroutine 1 bt", "goroutine next",
                                             "goroutine apply all bt"};
  std::vector<std::string> all = {"run"};
  all.insert(all.end(), commands.begin(), commands.end());
  all.insert(all.end(), {"tbreak all_parked", "run", "goroutine 7", "info goroutines", "print $_goroutine_count()",
                         "continue", "info goroutines"});
  const GdbSession gdb(all, {.arguments = {test_program(kProgram)}});
  CAPTURE(gdb.all());
  for (std::size_t i = 1; i <= commands.size(); ++i) CHECK(gdb.at(i) == kNoProcess);
  CHECK(gdb.at(8).starts_with("[Switching to goroutine 7 [chan receive] "));
  CHECK(row(gdb.at(9), "7").find("chan receive") != std::string::npos);
  CHECK((gdb.at(10) == "$1 = 2\n" || gdb.at(10) == "$1 = 3\n"));  // the goroutine of the case before may be about to end
  CHECK(gdb.at(12) == kNoProcess);

  const Sourced errors({"goroutine list", "goroutine", "goroutine 1 bt", "goroutine next", "goroutine apply all bt"});
  const auto session = lldb({launch(test_program(kProgram)), "process launch", errors.command(), in_program("all_parked"),
                             "process launch", "goroutine 7", "goroutine list", "continue", "goroutine list"});
  CAPTURE(session.out + session.err);
  CHECK(occurrences(session.err, kNoProcessLldb) == 6);
  CHECK(session.out.find("\ngoroutine 7 [chan receive] ") != std::string::npos);
  CHECK(row(session.out, "7").find("chan receive") != std::string::npos);
}

TEST_CASE("a second run begins afresh while the first is looked at") {
  const GdbSession gdb({"break all_parked", "run", "goroutine 7", "run", "goroutine", "info goroutines", "continue"},
                       {.arguments = {test_program(kProgram)}});
  CAPTURE(gdb.all());
  CHECK(gdb.at(4).starts_with("[Current goroutine is 1 [running] "));
  CHECK(row(gdb.at(5), "7").find("chan receive") != std::string::npos);
  CHECK(gdb.at(6).find("exited normally") != std::string::npos);
}

TEST_CASE("attach, detach, and another process: each has its own goroutines") {
  Park first(3);
  Park second(5);
  const GdbSession gdb({attach(first.child), "goroutine 3", "info goroutines", "detach", "info goroutines",
                        attach(second.child), "goroutine", "info goroutines", "goroutine 6", "detach"});
  CAPTURE(gdb.all());
  CHECK(last(gdb.at(2)) == "4 goroutines: 3 waiting, 1 syscall");
  CHECK(gdb.at(4) == kNoProcess);
  CHECK(gdb.at(6).find("7") == std::string::npos);
  CHECK(last(gdb.at(7)) == "6 goroutines: 5 waiting, 1 syscall");
  CHECK(gdb.at(8).starts_with("[Switching to goroutine 6 "));
  CHECK(status_field(first.child.pid(), "TracerPid") == "0");

  // LLDB takes a moment to know that it has detached, so what is said in between is not looked at.
  const auto session = lldb({process_attach(first.child), "goroutine 3", "goroutine list", "process detach",
                             process_attach(second.child), "goroutine", "goroutine list", "goroutine 6"});
  CAPTURE(session.out + session.err);
  CHECK(last(session[2]) == "4 goroutines: 3 waiting, 1 syscall");
  CHECK(session[5].starts_with("no goroutine is selected: thread "));
  CHECK(last(session[6]) == "6 goroutines: 5 waiting, 1 syscall");
  CHECK(session[7].starts_with("goroutine 6 [chan receive] "));
}

TEST_CASE("two inferiors of GDB have a list and a selection each") {
  Park first(3);
  Park second(5);
  const GdbSession gdb({attach(first.child), "goroutine 3", "add-inferior", "inferior 2", attach(second.child),
                        "info goroutines", "print $_goroutine_count()", "goroutine", "goroutine 6", "inferior 1",
                        "info goroutines", "print $_goroutine_count()", "goroutine apply 4 -q bt", "inferior 2",
                        "goroutine stack 6", "kill inferiors 1 2"});
  CAPTURE(gdb.all());
  CHECK(last(gdb.at(5)) == "6 goroutines: 5 waiting, 1 syscall");
  CHECK(gdb.at(6) == "$1 = 6\n");
  CHECK(gdb.at(7).starts_with("[No goroutine is selected; thread "));
  CHECK(gdb.at(8).starts_with("[Switching to goroutine 6 "));
  CHECK(last(gdb.at(10)) == "4 goroutines: 3 waiting, 1 syscall");
  CHECK(gdb.at(11) == "$2 = 4\n");
  CHECK(outermost(gdb.at(12)) == "stacktide_goroutine_start");
  CHECK(gdb.at(14).starts_with("goroutine 6 [chan receive]: "));
}

TEST_CASE("two targets of LLDB have a list and a selection each") {
  Park first(3);
  Park second(5);
  const auto session = lldb({"target create " + sample_program("park"), process_attach(first.child), "goroutine 3",
                             "target create " + sample_program("park"), process_attach(second.child), "goroutine list",
                             "goroutine", "goroutine 6", "target select 0", "goroutine", "goroutine list",
                             "goroutine apply 4 -q bt", "target select 1", "goroutine", "goroutine stack 6"});
  CAPTURE(session.out + session.err);
  CHECK(last(session[5]) == "6 goroutines: 5 waiting, 1 syscall");
  CHECK(session[6].starts_with("no goroutine is selected: thread "));
  CHECK(session[9].starts_with("goroutine 3 [chan receive] "));
  CHECK(last(session[10]) == "4 goroutines: 3 waiting, 1 syscall");
  CHECK(session[11].find("stacktide_goroutine_start") != std::string::npos);
  CHECK(session[13].starts_with("goroutine 6 [chan receive] "));
  CHECK(session[14].starts_with("goroutine 6 [chan receive]: "));
}
