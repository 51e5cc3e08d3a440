// The goroutine commands in a real GDB against the program's own numbers and the CLI: live, on a kernel core, through
// gdbserver.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/gdb.h"
#include "support/park.h"
#include "support/sched_text.h"

using namespace stacktide::test;

namespace {

std::string cli(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {cli_program()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto output = run(argv);
  REQUIRE(output.exit_code == 0);
  return output.out;
}

const std::vector<std::string> kCommands = {"info goroutines", "goroutine list --json", "goroutine stack 20",
                                            "goroutine bt 20", "goroutine sched",       "goroutine history 20"};

// Each command says in GDB what the CLI says. The marker of the current goroutine has no place there: no thread is.
void check_like_cli(const GdbSession& gdb, const std::vector<std::string>& target) {
  const auto same = [&](const std::string& in_gdb, std::vector<std::string> words) {
    words.insert(words.end(), target.begin(), target.end());
    CHECK(gdb.of(in_gdb) == cli(words));
  };
  same("info goroutines", {"list"});
  same("goroutine stack 20", {"stack", "20"});
  same("goroutine bt 20", {"bt", "20"});
  std::vector<std::string> sched = {"sched"};
  sched.insert(sched.end(), target.begin(), target.end());
  CHECK(alike(gdb.of("goroutine sched")) == alike(cli(sched)));
  same("goroutine history 20", {"history", "20"});
}

}  // namespace

TEST_CASE("in GDB a live program's goroutines have the numbers that the program measured, and the CLI's text") {
  Park park(1000);
  const std::vector<std::string> target = {"--pid", std::to_string(park.child.pid())};
  GdbSession gdb(kCommands, {.arguments = {"-p", target[1]}});
  CAPTURE(gdb.all());
  REQUIRE(measured(park).size() == 1000);
  CHECK(listed(gdb.of("goroutine list --json")) == measured(park));
  check_like_cli(gdb, target);
}

TEST_CASE("in GDB a kernel core's goroutines have the numbers that the program measured, and the CLI's text") {
  Park park(1000);
  const auto core = make_core(park.child);
  GdbSession gdb(kCommands, {.arguments = {sample_program("park"), core}});
  CAPTURE(gdb.all());
  REQUIRE(measured(park).size() == 1000);
  CHECK(listed(gdb.of("goroutine list --json")) == measured(park));
  check_like_cli(gdb, {"--core", core});
}

TEST_CASE("a core without its executable named still lists its goroutines in GDB") {
  Park park(40);
  const auto core = make_core(park.child);
  GdbSession gdb({"goroutine list --json", "goroutine bt 20"}, {.arguments = {"-c", core}});
  CAPTURE(gdb.all());
  CHECK(listed(gdb.of("goroutine list --json")) == measured(park));
  CHECK(gdb.of("goroutine bt 20").find("park_below") != std::string::npos);
}

TEST_CASE("a process that gdbserver holds is read through it") {
  if (!installed("gdbserver")) {
    MESSAGE("skipped: gdbserver is not installed (apt install gdbserver)");
    return;
  }
  Park park(40);
  auto server = Child::start({"gdbserver", "--once", "--attach", "localhost:0", std::to_string(park.child.pid())});
  const auto said = server.wait_for_line("Listening on port");
  const auto port = lines_of(said.substr(said.find("Listening on port ") + 18)).at(0);
  GdbSession gdb({"target remote localhost:" + port, "goroutine list --json", "goroutine 33 bt", "goroutine 20",
                  "info locals", "detach"},
                 {.arguments = {"-iex", "set sysroot /", sample_program("park")}});
  CAPTURE(gdb.all());
  CHECK(listed(gdb.of("goroutine list --json")) == measured(park));
  CHECK(outermost(gdb.of("goroutine 33 bt")) == "stacktide_goroutine_start");
  CHECK(gdb.of("goroutine 20").starts_with("[Switching to goroutine 20 [chan receive] "));
}
