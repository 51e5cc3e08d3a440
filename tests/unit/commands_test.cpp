#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "stacktide/core/command.h"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "support/fake_runtime.h"
#include "support/fake_target.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr Address kModule = 0x40000000;

// A session on a fake core of three parked goroutines; `change` comes before it is written, `after` after.
Session session_of(const std::function<void(FakeRuntime&)>& change = {},
                   const std::function<void(FakeTarget&)>& after = {}) {
  FakeRuntime runtime;
  for (std::uint64_t id = 1; id <= 3; ++id) runtime.goroutines.push_back(FakeRuntime::parked(id));
  FakeRing ring{8, 1, {}};
  ring.slots.push_back({{"time", 35}, {"goroutine", 2}, {"kind", 2}, {"old_size", 4096}, {"new_size", 2048}, {"used", 100}});
  runtime.rings.push_back(ring);
  if (change) change(runtime);
  auto target = std::make_unique<FakeTarget>();
  runtime.place(target->memory_);
  target->add_module_with_note(kModule, runtime.image.address);
  if (after) after(*target);
  return Session(std::move(target));
}

CommandResult run_in(Session& session, const std::vector<std::string>& words, const CommandOptions& options = {}) {
  return run(session, words, options);
}

CommandResult run_once(const std::vector<std::string>& words, const CommandOptions& options = {}) {
  auto session = session_of();
  return run(session, words, options);
}

}  // namespace

TEST_CASE("the descriptor is found by the note in a module's mapped header") {
  auto session = session_of();
  const auto snapshot = session.snapshot();
  REQUIRE(snapshot);
  CHECK((*snapshot)->runtime.producer == "note in /usr/bin/fake");
  CHECK((*snapshot)->goroutines.size() == 3);
}

TEST_CASE("a target without a runtime is told so, with what to do") {
  auto session = Session(std::make_unique<FakeTarget>());
  const auto result = run_in(session, {"list"});
  CHECK(result.out == "");
  CHECK(result.err ==
        "no goroutine runtime in core fake.core (/usr/bin/fake) (build the program with stacktide_goroutines(target))\n");
  CHECK(result.exit_code == 2);
}

TEST_CASE("a damaged descriptor is an error of its own, and says how it was found") {
  auto session = session_of({}, [](FakeTarget& target) { target.memory_.put<std::uint32_t>(0x10000 + 20, 1); });
  const auto result = run_in(session, {"list"});
  CHECK(result.err.starts_with("descriptor: checksum is "));
  CHECK(result.err.find(", by its note in /usr/bin/fake at 0x10000") != std::string::npos);
  CHECK(result.exit_code == 2);
}

TEST_CASE("list prints every goroutine, and marks the selected one") {
  CommandOptions options;
  options.current_goroutine = 2;
  const auto result = run_once({"list"}, options);
  CHECK(result.out ==
        "   id  status   wait-reason   function  file:line  size  used  headroom  grows\n"
        "    1  waiting  chan receive  ?                    2048   312       808      0\n"
        "*   2  waiting  chan receive  ?                    2048   312       808      0\n"
        "    3  waiting  chan receive  ?                    2048   312       808      0\n"
        "3 goroutines: 3 waiting\n");
  CHECK(result.err == "");
  CHECK(result.exit_code == 0);
}

TEST_CASE("list limits, filters and groups") {
  CHECK(run_once({"list", "--limit", "1"}).out.find("2 more: --all\n3 goroutines: 3 waiting\n") != std::string::npos);
  CHECK(run_once({"list", "--limit=0"}).out.find("more") == std::string::npos);
  CHECK(run_once({"list", "--with", "id=^2$"}).out.ends_with("1 of 3 goroutines: 1 waiting\n"));
  CHECK(run_once({"list", "--without", "id=2", "--sort", "-id"}).out.find("   3  waiting") < 200);
  CHECK(run_once({"list", "--group", "status"}).out ==
        "count  status        ids\n"
        "    3  chan receive  1-3\n"
        "3 goroutines in 1 group\n");
  CHECK(nlohmann::json::parse(run_once({"list", "--group", "status", "--json"}).out)["groups"][0]["ids"] ==
        nlohmann::json::array({1, 2, 3}));
}

TEST_CASE("at a prompt, long lists are folded; in a pipe they are not") {
  const auto many = [](FakeRuntime& runtime) {
    runtime.goroutines.clear();
    for (std::uint64_t id = 1; id <= 300; ++id) runtime.goroutines.push_back(FakeRuntime::parked(id));
    runtime.goroutines[4]["flags"] = 1;
  };
  auto session = session_of(many);
  CommandOptions prompt;
  prompt.terminal = true;
  CHECK(run_in(session, {"list"}, prompt).out ==
        "  count  id  status   wait-reason   function  file:line  size  used  headroom  grows\n"
        "    299   1  waiting  chan receive  ?                    2048   312       808      0\n"
        "      1   5  waiting  chan receive  ?                    2048   312       808      0\n"
        "300 goroutines: 300 waiting\n");
  const auto pipe = run_in(session, {"list"}).out;
  CHECK(std::count(pipe.begin(), pipe.end(), '\n') == 302);
  const auto all = run_in(session, {"list", "--all"}, prompt).out;
  CHECK(std::count(all.begin(), all.end(), '\n') == 302);
}

TEST_CASE("JSON is one document, or one object per line with the document's rest last") {
  const auto document = nlohmann::json::parse(run_once({"list", "--json"}).out);
  CHECK(document["schema"] == "stacktide/1");
  CHECK(document["target"]["kind"] == "core");
  CHECK(document["goroutines"].size() == 3);
  CHECK(document["goroutines"][1]["stack"]["used"] == 312);
  CHECK(document["counts"] == nlohmann::json{{"total", 3}, {"read", 3}, {"skipped", 0}});
  CHECK(document["damage"].empty());
  const auto lines = run_once({"list", "--json=lines"}).out;
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 4);
  CHECK(nlohmann::json::parse(lines.substr(0, lines.find('\n')))["id"] == 1);
  CHECK(run_once({"list", "--json=xml"}).exit_code == 2);
  for (const auto* command : {"sched", "history", "runtime"}) {
    CHECK(nlohmann::json::parse(run_once({command, "--json"}).out)["schema"] == "stacktide/1");
  }
  const auto stack = nlohmann::json::parse(run_once({"stack", "2", "--json"}).out)["goroutines"][0];
  CHECK(stack["stack"]["will_shrink"] == false);
  CHECK(stack["complete"] == false);
}

TEST_CASE("wrong words are an error that says what is wrong, exit code 2") {
  const auto check = [](const std::vector<std::string>& words, const std::string& err) {
    const auto result = run_once(words);
    CHECK(result.out == "");
    CHECK(result.err == err + "\n");
    CHECK(result.exit_code == 2);
  };
  check({}, "which command? (see help)");
  check({"lst"}, "no command 'lst' (see help)");
  check({"list", "--wide"}, "list: no option --wide (see help)");
  check({"list", "7"}, "list: '7' is one argument too many (see help)");
  check({"list", "--limit"}, "list: --limit wants N (see help)");
  check({"list", "--limit", "many"}, "list: --limit wants a number, not 'many' (see help)");
  check({"list", "--all=1"}, "list: --all takes no value (see help)");
  check({"list", "--users", "--system"}, "list: --users and --system exclude each other (see help)");
  check({"list", "--group", "size"}, "list: --group is status, entry or stack, not 'size' (see help)");
  check({"bt"}, "bt: which goroutine? give its id (see help)");
  check({"bt", "seven"}, "bt: 'seven' is not the id of a goroutine (see help)");
  check({"stack", "99"}, "no goroutine 99: there are 3, with ids from 1 to 3");
  check({"history", "99"}, "no goroutine 99: there are 3, with ids from 1 to 3");
}

TEST_CASE("a backtrace that stops early is a partial result, and is printed") {
  const auto result = run_once({"bt", "2"});
  CHECK(result.out.starts_with("goroutine 2 [chan receive]:\n"));
  CHECK(result.out.find("0x401000") != std::string::npos);
  CHECK(result.err.starts_with("warning: goroutine 2: backtrace stopped: "));
  CHECK(result.exit_code == 3);
  const auto all = run_once({"bt", "all"});
  CHECK(all.out.starts_with("3 goroutines [chan receive]: 1-3\n"));
}

TEST_CASE("without an id, bt and stack take the goroutine of the selected thread") {
  auto session = session_of(
      [](FakeRuntime& runtime) {
        runtime.goroutines[1]["status"] = 2;
        runtime.goroutines[1]["m"] = runtime.m_address(0);
        runtime.ms.push_back({{"id", 0}, {"tid", 555}, {"goroutine", runtime.goroutine_address(1)}});
      },
      [](FakeTarget& target) { target.add_thread(555, 0x401000, 0x7f0000020000 + 1000); });
  CommandOptions options;
  options.current_thread = 555;
  CHECK(run_in(session, {"bt"}, options).out.starts_with("goroutine 2 [running]:\n"));
  CHECK(session.goroutine_of_thread(555)->id == 2);
  CHECK(session.goroutine_of_thread(556) == nullptr);
  CHECK(session.thread_name(**session.goroutine(2)) == "goroutine 2 [running]");
  CHECK(session.thread_name(**session.goroutine(1)) == "goroutine 1 [chan receive]");
}

TEST_CASE("stack checks the canary in memory") {
  const auto with_canary = [](std::uint64_t word) {
    return session_of({}, [=](FakeTarget& target) { target.memory_.put<std::uint64_t>(0x7f0000020000, word); });
  };
  auto intact = with_canary(0x57ac71de0ddba115);
  CHECK(run_in(intact, {"stack", "2"}).out.find("lo, canary intact") != std::string::npos);
  auto overwritten = with_canary(1);
  const auto result = run_in(overwritten, {"stack", "2"});
  CHECK(result.out.find("lo, canary OVERWRITTEN") != std::string::npos);
  CHECK(result.err.find("warning: goroutine 2: the canary at 0x7f0000020000 is overwritten: its stack overflowed\n") !=
        std::string::npos);
  CHECK(result.exit_code == 3);
  auto absent = session_of();
  CHECK(run_in(absent, {"stack", "2"}).out.find("canary") == std::string::npos);
}

TEST_CASE("history prints a goroutine's events, or all") {
  const std::string table =
      "    time  goroutine  kind     old   new  used  adjusted  took  function\n"
      "0.000000          2  shrink  4096  2048   100         0  0 ns\n"
      "0 grows, 1 shrink, 0 links, 0 releases; 0 lost\n";
  CHECK(run_once({"history"}).out == table);
  CHECK(run_once({"history", "2"}).out == table);
  CHECK(run_once({"history", "1"}).out == "0 grows, 0 shrinks, 0 links, 0 releases; 0 lost\n");
}

TEST_CASE("a feature that is off says why") {
  auto session = session_of([](FakeRuntime& runtime) {
    runtime.image.contract("events").version = 9;
    runtime.image.contract("scheduler").version = 9;
    runtime.image.contract("goroutines").version = 9;
  });
  const auto check = [&](const char* command, const std::string& why) {
    const auto result = run_in(session, {command});
    CHECK(result.err == why + " (a newer stacktide may know it)\n");
    CHECK(result.exit_code == 2);
  };
  check("history", "contract events is version 9, this stacktide knows 1: history is off");
  check("sched",
        "contract scheduler is version 9, this stacktide knows 1: sched is off");
  check("list", "contract goroutines is version 9, this stacktide knows 1: the list of goroutines is off");
  const auto runtime = run_in(session, {"runtime"});
  CHECK(runtime.exit_code == 0);
  CHECK(runtime.out.find("off         contract goroutines is version 9") != std::string::npos);
}

TEST_CASE("damage is printed as warnings beside what could be read, exit code 3") {
  auto session = session_of([](FakeRuntime& runtime) { runtime.goroutines[1]["sequence"] = 1; },
                            [](FakeTarget& target) { target.damage_.push_back("core is cut short at 0x1000"); });
  const auto result = run_in(session, {"list"});
  CHECK(result.out.ends_with("3 goroutines: 3 waiting\n"));
  CHECK(
      result.err.starts_with("warning: core is cut short at 0x1000\nwarning: goroutine 2: changing while it is read at 0x"));
  CHECK(result.exit_code == 3);
}

TEST_CASE("one event is described without walking the rest") {
  auto session = session_of();
  CHECK(*session.describe_event(0x700000, 0) == "goroutine 2 shrank 4096 -> 2048 bytes, used 100");
  CHECK(session.describe_event(0x1, 0).error().code == ErrorCode::memory_fault);
  CHECK(session.event_hook().error().code == ErrorCode::no_symbols);
}

TEST_CASE("help is written as the host writes commands") {
  CHECK(help({}, HostKind::gdb).out.find("  bt [ID|all]            a goroutine's frames") != std::string::npos);
  CHECK(help({}, HostKind::gdb).out.ends_with("\ngoroutine help COMMAND: options and examples of one\n"));
  CHECK(help({"bt"}, HostKind::cli).out ==
        "stacktide bt [ID|all] [OPTIONS] --pid N | --core FILE\n"
        "\n"
        "a goroutine's frames: function, arguments, file and line, CFA, frame size\n"
        "\n"
        "Without an ID: the goroutine selected in the debugger. all: equal stacks are printed once.\n"
        "\n"
        "options:\n"
        "  --limit N   the N innermost frames of each; 0: all\n"
        "  --no-group  with all: do not join equal stacks\n"
        "  --json      print JSON, schema stacktide/1\n"
        "\n"
        "examples:\n"
        "  $ stacktide bt 7 --pid 4242\n"
        "  $ stacktide bt all --pid 4242\n");
  CHECK(help({"bt"}, HostKind::lldb).out.ends_with("examples:\n  (lldb) goroutine bt 7\n  (lldb) goroutine bt all\n"));
  CHECK(help({"lst"}, HostKind::gdb).exit_code == 2);
}

TEST_CASE("completion offers commands, options and ids") {
  using Words = std::vector<std::string>;
  CHECK(complete(nullptr, {}, "") ==
        Words{"list", "bt", "stack", "sched", "history", "stackmap", "prologue", "whereis", "audit", "runtime"});
  CHECK(complete(nullptr, {}, "s") == Words{"stack", "sched", "stackmap"});
  CHECK(complete(nullptr, {"bt"}, "--") == Words{"--limit", "--no-group", "--json"});
  auto session = session_of();
  CHECK(complete(&session, {"bt"}, "") == Words{"all", "1", "2", "3"});
  CHECK(complete(&session, {"stack"}, "2") == Words{"2"});
  CHECK(complete(&session, {"list"}, "").empty());
  CHECK(complete(&session, {"nothing"}, "").empty());
}
