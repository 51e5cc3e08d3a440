// Handles as values: GDB's printers and LLDB's summaries say the same of the same program, live and on a core.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <regex>
#include <utility>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/process.h"
#include "support/stepper.h"

using namespace stacktide::test;

namespace {

const std::vector<std::pair<std::string, std::string>> kHandles = {
    {"nil", "channel<int> nil"},
    {"buffered", "channel<int> len 2 cap 8 = {7, 11}"},
    {"received", "channel<int> len 0 cap 8, 3 receivers waiting (goroutines 2, 3, 4)"},
    {"sent", "channel<std::string> len 1 cap 1, 1 sender waiting (goroutine 5) = {\"first\"}"},
    {"closed", "channel<double> len 1 cap 2, closed = {1.5}"},
    {"crowded",
     "channel<char> len 0 cap 0, 13 receivers waiting (goroutines 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 and 3 more)"},
    {"points", "channel<Point> len 1 cap 4 = {{x = 3, y = -4}}"},
    {"counted", "channel<Counted> len 1 cap 4 = {{number = 5}}"},
    {"selected", "channel<long> len 0 cap 0, 1 receiver waiting (goroutine 18)"},
    {"free", "mutex unlocked"},
    {"held", "mutex locked, 2 waiting (goroutines 19, 20)"},
    {"group", "wait_group 3, 1 waiting (goroutine 21)"},
    {"fresh", "once not done"},
    {"done", "once done"},
};

Child start(const std::string& program) {
  auto child = Child::start({program}, {.env = {"STACKTIDE_MAXPROCS=1"}, .folder = {}, .core = true});
  child.wait_for_line("ready");
  reading_thread(child.pid());
  return child;
}

// Addresses differ from run to run.
std::string without_addresses(const std::string& text) { return std::regex_replace(text, std::regex("0x[0-9a-f]+"), "0x."); }

// What follows the first " = ": "$1 = 7", "(int) x = 7".
std::string value_of(const std::string& line) {
  const auto at = line.find(" = ");
  return at == std::string::npos ? line : line.substr(at + 3);
}

void check_gdb(const std::vector<std::string>& arguments) {
  std::vector<std::string> commands;
  for (const auto& [name, expected] : kHandles) commands.push_back("print handles->" + name);
  const std::string record = "((stacktide::runtime::Channel *)handles->received.core_)->receivers.first->goroutine";
  commands.push_back("set language c++");  // the prompt may be in libc
  commands.push_back("print " + record);
  commands.push_back("print *" + record);
  commands.push_back("print &handles->group");
  commands.push_back("print handles->many[0]@2");
  const GdbSession gdb(commands, {.arguments = arguments});
  CAPTURE(gdb.all());
  std::size_t i = 0;
  for (const auto& [name, expected] : kHandles) CHECK(value_of(gdb.at(i++)) == expected + "\n");
  ++i;
  CHECK(without_addresses(value_of(gdb.at(i++))).starts_with("0x. goroutine 2 [chan receive] begin<"));
  CHECK(value_of(gdb.at(i++)).starts_with("goroutine 2 [chan receive] begin<"));
  CHECK(without_addresses(value_of(gdb.at(i++))) == "0x. wait_group 3, 1 waiting (goroutine 21)\n");
  CHECK(value_of(gdb.at(i++)) == "{channel<int> len 2 cap 8 = {7, 11}, channel<int> len 2 cap 8 = {7, 11}}\n");
}

void check_lldb(const std::string& open) {
  std::vector<std::string> commands = {open};
  for (const auto& [name, expected] : kHandles) commands.push_back("target variable handles->" + name);
  const auto session = lldb(commands);
  CAPTURE(session.err);
  std::size_t i = 1;
  for (const auto& [name, expected] : kHandles) CHECK(value_of(session[i++]) == expected + "\n");
}

void check(const std::string& program) {
  auto child = start(program);
  check_gdb({"-p", std::to_string(child.pid())});
  check_lldb(fmt::format("process attach -p {}", child.pid()));
  const auto core = make_core(child);
  check_gdb({program, core});
  check_lldb(fmt::format("target create -c {} {}", core, program));
}

}  // namespace

TEST_CASE("handles show what they stand for at -O0, live and on a core, in GDB and LLDB") {
  check(test_program("rt_handles_O0"));
}

TEST_CASE("handles show what they stand for at -O2, live and on a core, in GDB and LLDB") {
  check(test_program("rt_handles_O2"));
}

TEST_CASE("arguments of a function: references, pointers, typedefs and copies") {
  const auto program = test_program("rt_handles_O0");
  const std::string received = "channel<int> len 0 cap 8, 3 receivers waiting (goroutines 2, 3, 4)";
  const std::string buffered = "channel<int> len 2 cap 8 = {7, 11}";
  const GdbSession gdb({"set environment STACKTIDE_MAXPROCS=1", "break rt_handles.cpp:70", "run < /dev/null",
                        "print pointer", "print alias", "print copy", "print all.received", "print *pointer"},
                       {.arguments = {program}});
  CAPTURE(gdb.all());
  CHECK(without_addresses(value_of(gdb.at(3))) == "0x. " + received + "\n");
  CHECK(value_of(gdb.at(4)) == buffered + "\n");
  CHECK(value_of(gdb.at(5)) == buffered + "\n");
  CHECK(value_of(gdb.at(6)) == received + "\n");
  CHECK(value_of(gdb.at(7)) == received + "\n");

  const auto session =
      lldb({"target create " + program, "settings set target.env-vars STACKTIDE_MAXPROCS=1",
            "breakpoint set -f rt_handles.cpp -l 70", "process launch -i /dev/null", "frame variable pointer",
            "frame variable alias", "frame variable copy", "frame variable all.received", "frame variable *pointer"});
  CHECK(without_addresses(session[4]) == "(const stacktide::channel<int> *) pointer = 0x. " + received + "\n");
  CHECK(without_addresses(session[5]) == "(const Numbers &) alias = 0x. " + buffered + "\n");
  CHECK(session[6] == "(Numbers) copy = " + buffered + "\n");
  CHECK(value_of(session[7]) == received + "\n");
  CHECK(value_of(session[8]) == received + "\n");
}

TEST_CASE("a handle that was never made, or was overwritten, says what is wrong, and the next one is fine") {
  auto child = start(test_program("rt_handles_O0"));
  const GdbSession gdb({"set var handles->nil.core_ = (void *) 16", "print handles->nil",
                        "set var handles->nil.core_ = handles->held.core_", "print handles->nil", "print handles->buffered"},
                       {.arguments = {"-p", std::to_string(child.pid())}});
  CAPTURE(gdb.all());
  CHECK(value_of(gdb.at(1)) ==
        "channel<int> 0x10: the channel is not readable at 0x10 (not mapped, or left out of the core)\n");
  CHECK(gdb.at(3).find("no channel is there: ") != std::string::npos);
  CHECK(value_of(gdb.at(4)) == "channel<int> len 2 cap 8 = {7, 11}\n");
}

TEST_CASE("without a process, and with printers turned off, a handle is shown raw") {
  const auto program = test_program("rt_handles_O0");
  const GdbSession before({"print *(stacktide::mutex *) &handles"}, {.arguments = {program}});
  CHECK(before.at(0) == "$1 = {core_ = 0x0}\n");
  auto child = start(program);
  const GdbSession off({"disable pretty-printer global stacktide", "print handles->nil"},
                       {.arguments = {"-p", std::to_string(child.pid())}});
  CHECK(off.at(1) == "$1 = {core_ = 0x0}\n");
}

TEST_CASE("stack and whereis say what a goroutine waits for") {
  auto child = start(test_program("rt_handles_O0"));
  const std::vector<std::string> target = {"--pid", std::to_string(child.pid())};
  const auto text = cli_output({"stack", "19"}, target);
  const std::regex row("  waits for    mutex (0x[0-9a-f]+), locked, 2 waiting \\(goroutines 19, 20\\)\n");
  std::smatch found;
  REQUIRE(std::regex_search(text, found, row));
  CHECK(cli_output({"whereis", found[1]}, target) ==
        found[1].str() + ": heap or other memory\n  object  mutex, locked, 2 waiting (goroutines 19, 20)\n");
}
