// What can go wrong in GDB is one line each, and never a Python traceback.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "support/gdb.h"
#include "support/park.h"

using namespace stacktide::test;

namespace {

constexpr const char* kNoProcess = "stacktide: there is no process: start the program, attach to one, or load a core\n";

// One line that begins with our name.
void check_one_line(const std::string& text) {
  CAPTURE(text);
  CHECK(text.starts_with("stacktide: "));
  CHECK(lines_of(text).size() == 1);
}

}  // namespace

TEST_CASE("without a process each command says so in one line") {
  const std::vector<std::string> commands = {"info goroutines",  "goroutine",        "goroutine 7",      "goroutine 7 bt",
                                             "goroutine all bt", "goroutine thread", "goroutine stack 7"};
  GdbSession gdb(commands);
  for (const auto& command : commands) {
    CAPTURE(command);
    CHECK(gdb.of(command) == kNoProcess);
  }
}

TEST_CASE("a word that is no command, and an argument that is none, are one-line errors") {
  GdbSession gdb({"goroutine foo", "goroutine trace", "goroutine all", "goroutine help foo"});
  CHECK(gdb.at(0) == "stacktide: no goroutine command \"foo\"; try: goroutine help\n");
  CHECK(gdb.at(1).starts_with("stacktide: usage: goroutine trace on [--goroutine ID] "));
  CHECK(gdb.at(2) == "stacktide: goroutine all needs a command, as in: goroutine all bt\n");
  check_one_line(gdb.at(3));
}

TEST_CASE("a program without the runtime is named as such") {
  auto sleeper = Child::start({"sleep", "300"});
  GdbSession gdb({"info goroutines", "goroutine 1", "goroutine all bt", "goroutine trace on", "goroutine trace show"},
                 {.arguments = {"-p", std::to_string(sleeper.pid())}});
  CAPTURE(gdb.all());
  for (std::size_t i = 0; i < 3; ++i) {
    check_one_line(gdb.at(i));
    CHECK(gdb.at(i).find("no goroutine runtime in process") != std::string::npos);
  }
  CHECK(gdb.at(3) == "stacktide: no function stacktide_events_pending: a program without the runtime, or a stripped one\n");
  CHECK(gdb.at(4) == "0 stack events; 0 lost; 0 stops; tracing is off\n");
}

TEST_CASE("wrong ids, wrong options and GDB's own errors are one line each, and leave the selection alone") {
  auto park = Child::start({sample_program("park"), "5"});
  wait_until_parked(park);
  GdbSession gdb({"goroutine 9999", "goroutine 9999 bt", "goroutine list --bogus", "goroutine 3", "goroutine 4 print nosuch",
                  "goroutine 4 nosuch", "goroutine", "goroutine 99999999999999999999999 bt", "goroutine $nosuch"},
                 {.arguments = {"-p", std::to_string(park.pid())}});
  CAPTURE(gdb.all());
  for (const std::size_t i : {0, 1, 2, 7, 8}) check_one_line(gdb.at(i));
  CHECK(gdb.at(0) == "stacktide: no goroutine 9999: there are 6, with ids from 1 to 6\n");
  CHECK(gdb.at(4) == "No symbol \"nosuch\" in current context.\n");
  CHECK(gdb.at(5) == "Undefined command: \"nosuch\".  Try \"help\".\n");
  CHECK(gdb.at(6).starts_with("[Current goroutine is 3 "));
  CHECK(gdb.all().find("Traceback") == std::string::npos);
}

TEST_CASE("a stripped program still lists its goroutines, and their backtraces reach the entry") {
  TempDir folder;
  const auto stripped = folder / "park";
  REQUIRE(run({"strip", "-s", "-o", stripped, sample_program("park")}).exit_code == 0);
  auto park = Child::start({stripped, "5"});
  wait_until_parked(park);
  GdbSession gdb({"info goroutines", "goroutine 6 bt", "goroutine 3 bt"}, {.arguments = {"-p", std::to_string(park.pid())}});
  CAPTURE(gdb.all());
  CHECK(lines_of(gdb.at(0)).back() == "6 goroutines: 5 waiting, 1 syscall");
  // One call deeper is one frame more; neither ends early.
  CHECK(gdb_frames(gdb.at(1)).size() == gdb_frames(gdb.at(2)).size() + 3);
}

TEST_CASE("an executable that was deleted takes nothing from the list, live and on its core") {
  TempDir folder;
  const auto copy = folder / "park";
  std::filesystem::copy_file(sample_program("park"), copy);
  auto park = Child::start({copy, "5"}, {.env = {}, .folder = "", .core = true});
  wait_until_parked(park);
  std::filesystem::remove(copy);
  GdbSession live({"info goroutines", "goroutine bt 6"}, {.arguments = {"-p", std::to_string(park.pid())}});
  CAPTURE(live.all());
  CHECK(lines_of(live.at(0)).back() == "6 goroutines: 5 waiting, 1 syscall");
  // The kernel still has the file, so its symbols are there as well.
  CHECK(live.at(1).find("park_below") != std::string::npos);
  GdbSession core({"info goroutines", "goroutine bt 6"}, {.arguments = {"-c", make_core(park)}});
  CAPTURE(core.all());
  CHECK(core.at(0).find("6 goroutines: 5 waiting, 1 syscall\n") != std::string::npos);
  CHECK(core.at(1).find("goroutine 6 [chan receive]") != std::string::npos);
}

TEST_CASE("a module built for another Python, or none, is one line at load, and GDB goes on") {
  TempDir folder;
  std::filesystem::copy(STACKTIDE_BUILD_DIR "/python/stacktide_gdb.py", folder.path());
  const auto source = "source " + (folder / "stacktide_gdb.py");
  {
    GdbSession gdb({source, "print 1"}, {.arguments = {}, .commands = false});
    check_one_line(gdb.at(0));
    CHECK(gdb.at(0).starts_with("stacktide: no compiled module stacktide.*.so beside "));
    CHECK(gdb.at(1) == "$1 = 1\n");
  }
  std::ofstream(folder / "stacktide.cpython-399-x86_64-linux-gnu.so") << "nothing";
  GdbSession gdb({source, "print 1"}, {.arguments = {}, .commands = false});
  check_one_line(gdb.at(0));
  CHECK(gdb.at(0).starts_with("stacktide: built for Python 3.99, this GDB has 3."));
  CHECK(gdb.at(1) == "$1 = 1\n");
}

TEST_CASE("commands of a program's own script of the same names, as Go's, do not take ours away") {
  TempDir folder;
  const auto script = folder / "other.py";
  std::ofstream(script) << "import gdb\n"
                           "class Other(gdb.Command):\n"
                           "  def __init__(self, name): super().__init__(name, gdb.COMMAND_USER)\n"
                           "  def invoke(self, argument, from_tty): print('the other one')\n"
                           "Other('goroutine')\n"
                           "Other('info goroutines')\n";
  auto park = Child::start({sample_program("park"), "5"});
  wait_until_parked(park);
  GdbSession gdb({"source " + script, fmt::format("attach {}", park.pid()), "info goroutines", "goroutine 3 bt"});
  CAPTURE(gdb.all());
  CHECK(lines_of(gdb.of("info goroutines")).back() == "6 goroutines: 5 waiting, 1 syscall");
  CHECK(outermost(gdb.of("goroutine 3 bt")) == "stacktide_goroutine_start");
}
