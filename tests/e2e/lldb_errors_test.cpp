// What the plugin says when there is nothing to show: one line, and LLDB lives on.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <string>

#include "support/lldb.h"
#include "support/park.h"
#include "support/process.h"

using namespace stacktide::test;

namespace {

// The one line that LLDB printed on stderr, which begins "error: stacktide: "; LLDB must have ended by itself.
std::string only_error(const LldbSession& session) {
  CHECK(session.exit_code == 1);  // what lldb --batch returns when a command failed
  std::string found;
  for (const auto& line : lines_of(session.err)) {
    if (!line.starts_with("error: stacktide: ")) continue;
    CHECK_MESSAGE(found.empty(), (session.err));
    found = line.substr(std::string("error: stacktide: ").size());
  }
  CHECK_MESSAGE(!found.empty(), (session.out + session.err));
  return found;
}

std::string attach(const Child& child) { return "process attach --pid " + std::to_string(child.pid()); }

}  // namespace

TEST_CASE("without a target or a process each command says what to do") {
  for (const char* command : {"goroutine list", "goroutine", "goroutine 1", "goroutine threads on", "goroutine all bt"}) {
    CAPTURE(std::string(command));
    CHECK(only_error(lldb({command})) ==
          "there is no target: `target create PROGRAM`, `process attach`, or `target create -c CORE`");
    CHECK(only_error(lldb({"target create " + sample_program("park"), command})) ==
          "there is no process: start one with `run`, attach to one, or open a core");
  }
}

TEST_CASE("a program without the runtime has no goroutines, and no events") {
  for (const char* command : {"goroutine list", "goroutine 1", "goroutine threads on", "goroutine all bt", "goroutine"}) {
    CAPTURE(std::string(command));
    const auto error = only_error(lldb({"target create /bin/cat", "process launch --stop-at-entry", command}));
    CHECK(error.starts_with("no goroutine runtime in process "));
    CHECK(error.find(" (/bin/cat) (") != std::string::npos);  // and what to do
  }
  CHECK(only_error(lldb({"target create /bin/cat", "goroutine trace on"})).starts_with("no function stacktide_events_pending"));
}

TEST_CASE("a stripped program lists its goroutines and can be traced") {
  TempDir folder;
  const std::string program = folder / "park";
  REQUIRE(run({"strip", "-s", "-o", program, sample_program("park")}).exit_code == 0);
  Child child = Child::start({program, "5"});
  wait_until_parked(child);
  const auto session = lldb({attach(child), "goroutine list", "goroutine 3 bt", "goroutine trace on", "breakpoint list"});
  CHECK(occurrences(session[1], "chan receive") == 5);
  CHECK(session[2].find("frame #4: ") != std::string::npos);
  // The runtime exports the function for this.
  CHECK(session[3] == "tracing stack events\n");
  CHECK(session[4].find("stacktide_events_pending") != std::string::npos);
}

TEST_CASE("words and ids that do not exist are refused in one line") {
  Child child = Child::start({sample_program("park"), "5"});
  wait_until_parked(child);
  const auto error = [&](const std::string& command) { return only_error(lldb({attach(child), command})); };
  CHECK(error("goroutine 99") == "no goroutine 99: there are 6, with ids from 1 to 6");
  CHECK(error("goroutine 99 bt") == "no goroutine 99: there are 6, with ids from 1 to 6");
  CHECK(error("goroutine frobnicate") == "no goroutine command \"frobnicate\"; try: goroutine help");
  CHECK(error("goroutine threads maybe").starts_with("goroutine threads on [LIMIT], or goroutine threads off"));
  CHECK(error("goroutine trace").starts_with("usage: goroutine trace on [--goroutine ID] "));
  CHECK(error("goroutine all") == "goroutine all needs a command, as in: goroutine all bt");
  CHECK(error("goroutine list --nonsense").find("--nonsense") != std::string::npos);
}

TEST_CASE("an error of LLDB's own command is LLDB's, and the selection is back") {
  Child child = Child::start({sample_program("park"), "5"});
  wait_until_parked(child);
  const auto session = lldb({attach(child), "goroutine 3 frame variable no_such_variable"});
  CHECK(session.err.find("error: no variable named 'no_such_variable' found in this frame") != std::string::npos);
  CHECK(session.err.find("stacktide") == std::string::npos);
}

TEST_CASE("an LLDB without Python says in one line what goroutines as threads need, and does the rest") {
  Child child = Child::start({sample_program("park"), "5"});
  wait_until_parked(child);
  const auto session =
      lldb({"settings set script-lang none", attach(child), "goroutine list", "goroutine bt 3", "goroutine 3"});
  CHECK(occurrences(session[2], "chan receive") == 5);
  CHECK(session[3].find("stacktide_goroutine_start") != std::string::npos);
  CHECK(only_error(session).starts_with("goroutines as threads need an LLDB with Python 3"));
}

TEST_CASE("help needs no target") {
  const auto session = lldb({"goroutine help", "goroutine help stack", "help goroutine"});
  for (const char* command :
       {"list", "bt", "stack", "sched", "history", "runtime", "goroutine threads on", "goroutine trace on|off|show|check"}) {
    CHECK(session[0].find(command) != std::string::npos);
  }
  CHECK(session[1].find("stack") != std::string::npos);
  CHECK(session[2].find("goroutine help") != std::string::npos);
}
