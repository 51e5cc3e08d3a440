// `goroutine apply` in GDB and LLDB: the same words, on the same goroutines, live and on a core.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/park.h"

using namespace stacktide::test;

namespace {

// 1 is in a library call, 2 to 9 are parked.
Child parked() {
  auto park = Child::start({sample_program("park"), "8"}, {.env = {}, .folder = "", .core = true});
  wait_until_parked(park);
  return park;
}

std::string name(int id) { return fmt::format("goroutine {} [chan receive] (anonymous namespace)::worker", id); }

// The ids that headers name, in order.
std::vector<int> named(const std::string& text) {
  std::vector<int> ids;
  for (const auto& line : lines_of(text)) {
    if (line.starts_with("goroutine ") && line.find('[') != std::string::npos) ids.push_back(std::stoi(line.substr(10)));
  }
  return ids;
}

const std::vector<std::string> kCommands = {
    "goroutine apply 3 5-7 bt",    // 0: ids and ranges, in their order
    "goroutine apply 9-20 stack",  // 1: of a range those that exist; a command of core's
    "goroutine apply all bt",      // 2
    "goroutine apply 4 -q bt",     // 3: without its name
    "goroutine all bt",            // 4: as apply all
    "goroutine 4 bt",              // 5
};

void check_gdb(const std::vector<std::string>& arguments) {
  auto commands = kCommands;
  commands.insert(commands.end(),
                  {"goroutine 5", "goroutine apply all -s output 1 / ($_goroutine() - 3)", "goroutine apply 2-4 print nosuch",
                   "goroutine apply 2-4 -s print nosuch", "goroutine", "set $id = 6",
                   "goroutine apply $id -q print $_goroutine()", "goroutine apply 2 -q goroutine stack"});
  const GdbSession gdb(commands, {.arguments = arguments});
  CAPTURE(gdb.all());
  CHECK(named(gdb.at(0)) == std::vector{3, 5, 6, 7});
  CHECK(gdb.at(0).find(fmt::format("\n{}:\n#", name(5))) != std::string::npos);
  CHECK(named(gdb.at(1)) == std::vector{9, 9});  // and core's own first line
  CHECK(named(gdb.at(2)) == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(gdb.at(3) == gdb.at(5));
  CHECK(gdb.at(4) == gdb.at(2));
  // That fails in 3, which -s does not speak of.
  CHECK(named(gdb.at(7)) == std::vector{1, 2, 4, 5, 6, 7, 8, 9});
  CHECK(gdb.at(8) ==
        fmt::format("\n{}:\nNo symbol \"nosuch\" in current context.\n\n{}:\nNo symbol \"nosuch\" in current context.\n"
                    "\n{}:\nNo symbol \"nosuch\" in current context.\n",
                    name(2), name(3), name(4)));
  CHECK(gdb.at(9) == "");
  CHECK(gdb.at(10) == "[Current goroutine is 5 [chan receive] (anonymous namespace)::worker]\n");
  CHECK(gdb.at(12) == "$1 = 6\n");
  CHECK(gdb.at(13).starts_with("goroutine 2 [chan receive]: "));
}

void check_lldb(const std::string& open) {
  std::vector<std::string> commands = {open};
  commands.insert(commands.end(), kCommands.begin(), kCommands.end());
  commands.insert(commands.end(),
                  {"goroutine 5", "goroutine apply all -s frame select 20", "goroutine apply 2-4 -s frame variable nosuch",
                   "goroutine", "goroutine apply 2 -q goroutine stack", "goroutine apply 2 3 frame variable nosuch"});
  const auto session = lldb(commands);
  CAPTURE(session.out + session.err);
  CHECK(named(session[1]) == std::vector{3, 5, 6, 7});
  CHECK(session[1].find(name(5) + "\n* thread #") != std::string::npos);
  CHECK(named(session[2]) == std::vector{9, 9});
  CHECK(named(session[3]) == std::vector{1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(frame_lines(session[4]) == frame_lines(session[6]));
  CHECK(named(session[4]).empty());
  CHECK(named(session[5]) == named(session[3]));
  CHECK(session[8] == "");
  CHECK(session[9] == "");
  CHECK(session[10] == name(5) + "\n");
  CHECK(session[11].starts_with("goroutine 2 [chan receive]: "));
  CHECK(session.err.find("error: no variable named 'nosuch' found in this frame") != std::string::npos);
}

}  // namespace

TEST_CASE("apply takes ids, ranges and all, -q and -s, in GDB") {
  auto park = parked();
  check_gdb({"-p", std::to_string(park.pid())});
  check_gdb({sample_program("park"), make_core(park)});
}

TEST_CASE("apply takes ids, ranges and all, -q and -s, in LLDB") {
  auto park = parked();
  check_lldb("process attach --pid " + std::to_string(park.pid()));
  check_lldb("target create -c " + make_core(park) + " " + sample_program("park"));
}

TEST_CASE("wrong words of apply are one line, the same in both") {
  auto park = parked();
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"goroutine apply", "apply: which goroutines? ids, ranges as 3-7, or all (see help)"},
      {"goroutine apply bt", "apply: which goroutines? ids, ranges as 3-7, or all (see help)"},
      {"goroutine apply 3", "apply: which command? (see help)"},
      {"goroutine apply 3 -q", "apply: which command? (see help)"},
      {"goroutine apply 7-3 bt", "apply: the range 7-3 is empty (see help)"},
      {"goroutine apply 3 99 bt", "no goroutine 99: there are 9, with ids from 1 to 9"},
      {"goroutine apply 20-30 bt", "no goroutine has an id from 20 to 30"},
  };
  std::vector<std::string> commands;
  for (const auto& [command, text] : wrong) commands.push_back(command);
  const GdbSession gdb(commands, {.arguments = {"-p", std::to_string(park.pid())}});
  for (const auto& [command, text] : wrong) {
    CAPTURE(command);
    CHECK(gdb.of(command) == "stacktide: " + text + "\n");
    const auto session = lldb({"process attach --pid " + std::to_string(park.pid()), command});
    CHECK(session.err.find("error: stacktide: " + text + "\n") != std::string::npos);
  }
}
