// What goroutines wait for, in Go's words; and those that were asked to yield in a failed stack check, unwound from there by
// core, GDB and LLDB.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/process.h"
#include "support/stepper.h"

using namespace stacktide::test;
using nlohmann::json;

namespace {

json cli(std::vector<std::string> arguments, const std::vector<std::string>& target) {
  arguments.insert(arguments.begin(), cli_program());
  arguments.insert(arguments.end(), target.begin(), target.end());
  arguments.push_back("--json");
  const auto output = run(arguments);
  INFO(output.err);
  REQUIRE(output.exit_code == 0);
  return json::parse(output.out);
}

void check_reasons(const std::vector<std::string>& target) {
  const std::map<std::string, std::string> expected = {
      {"selector", "select"},  {"no_cases", "select (no cases)"}, {"locker", "sync.Mutex.Lock"},
      {"sender", "chan send"}, {"waiter", "sync.WaitGroup.Wait"}, {"sleeper", "sleep"},
      {"reader", "IO wait"}};
  std::map<std::string, std::string> found;
  for (const json list = cli({"list"}, target); const auto& g : list.at("goroutines")) {
    if (g.at("status") == "waiting") found[g.at("entry").get<std::string>()] = g.at("wait_reason").get<std::string>();
  }
  CHECK(json(found) == json(expected));
}

// Ids of the spinners that were asked to yield: with one P, all but the one that runs, or is about to.
std::vector<int> check_preempted(const std::vector<std::string>& target) {
  std::vector<int> ids;
  for (const json all = cli({"bt", "all"}, target); const auto& g : all.at("goroutines")) {
    if (g.at("status") != "runnable") continue;
    CAPTURE(g.dump());
    const auto& frames = g.at("frames");
    std::string names;
    for (const auto& frame : frames) {
      const bool shown =
          !frame.at("inlined").get<bool>() && frame.at("function").get<std::string>().find("::") == std::string::npos;
      if (shown) names += frame.at("function").get<std::string>() + " ";
    }
    CHECK(g.at("complete") == true);
    CHECK(names == "__morestack step spinner stacktide_goroutine_start ");
    // The registers that __morestack pushed lie below its frame's end.
    CHECK(frames.at(0).at("size").get<int>() >= 15 * 8);
    CHECK(g.at("function") == "step");
    ids.push_back(g.at("id").get<int>());
  }
  CHECK(ids.size() >= 2);
  return ids;
}

// A list takes a parked goroutine's place from the return address in its record, JSON from unwinding: the same places.
void check_places(const std::vector<std::string>& target) {
  std::map<std::uint64_t, std::string> unwound;
  std::size_t waiting = 0;
  for (const json list = cli({"list"}, target); const auto& g : list.at("goroutines")) {
    const auto file = g.at("file").get<std::string>();
    if (file.empty()) continue;
    unwound[g.at("id")] = fmt::format("{}:{}", file.substr(file.rfind('/') + 1), g.at("line").get<int>());
    if (g.at("status") == "waiting") ++waiting;
  }
  CHECK(waiting >= 7);
  std::vector<std::string> command = {cli_program(), "list"};
  command.insert(command.end(), target.begin(), target.end());
  const auto text = run(command);
  CAPTURE(text.out);
  std::map<std::uint64_t, std::string> listed;
  static const std::regex row(R"((?:^|\n)\*?\s*(\d+)  \S[^\n]*\s(\S+\.(?:cpp|h):\d+)\s)");
  for (std::sregex_iterator at(text.out.begin(), text.out.end(), row), end; at != end; ++at)
    listed[std::stoull((*at)[1])] = (*at)[2];
  CHECK(json(listed) == json(unwound));
}

// The one that waits for a file names it, in GDB and LLDB as on the command line.
struct Reader {
  std::uint64_t id;
  std::string row;
  std::string object;  // line of `stack`
};

Reader reader_of(const std::vector<std::string>& target) {
  const json list = cli({"list", "--with", "entry=reader"}, target);
  REQUIRE(list.at("goroutines").size() == 1);
  const auto& g = list.at("goroutines").at(0);
  const auto id = g.at("id").get<std::uint64_t>();
  return {id, fmt::format("{}  waiting  IO wait      reader    rt_waits.cpp:{}  ", id, g.at("line").get<int>()),
          fmt::format("\n  waits for    poll_descriptor {}, fd 3\n", g.at("wait_object").get<std::string>())};
}

void check(const std::string& program) {
  auto child = Child::start({program}, {.env = {"STACKTIDE_MAXPROCS=1"}, .folder = {}, .core = true});
  child.wait_for_line("ready");
  reading_thread(child.pid());
  const std::vector<std::string> live = {"--pid", std::to_string(child.pid())};
  check_reasons(live);
  check_preempted(live);
  const auto path = make_core(child);
  const std::vector<std::string> core = {"--core", path};
  check_reasons(core);
  check_places(core);
  const auto ids = check_preempted(core);
  REQUIRE(!ids.empty());
  const auto bt = fmt::format("goroutine {} bt", ids.front());
  const auto reader = reader_of(core);
  const std::string list = "goroutine list --with wait_reason=IO";
  const auto stack = fmt::format("goroutine stack {}", reader.id);
  const GdbSession gdb({bt, list, stack}, {.arguments = {program, path}});
  CAPTURE(gdb.at(0));
  CHECK(innermost(gdb.at(0)) == "__morestack");
  CHECK(outermost(gdb.at(0)) == "stacktide_goroutine_start");
  CHECK(gdb.at(0).find(" spinner ") != std::string::npos);
  const auto session = lldb({fmt::format("target create --core {} {}", path, program), bt, list, stack});
  CAPTURE(session[1]);
  for (const auto* shown : {&gdb.at(1), &session[2]}) {
    CAPTURE(*shown);
    CHECK(occurrences(*shown, reader.row) == 1);
    CHECK(occurrences(*shown, " IO wait ") == 1);
  }
  for (const auto* shown : {&gdb.at(2), &session[3]}) {
    CAPTURE(*shown);
    CHECK(shown->find(fmt::format("goroutine {} [IO wait]: reader at rt_waits.cpp:", reader.id)) != std::string::npos);
    CHECK(shown->find(reader.object) != std::string::npos);
  }
  for (const char* name : {"__morestack", "step", "spinner", "stacktide_goroutine_start"})
    CHECK(session[1].find(name) != std::string::npos);
}

}  // namespace

TEST_CASE("wait reasons, and goroutines that were asked to yield, at -O0") { check(test_program("rt_waits_O0")); }

TEST_CASE("wait reasons, and goroutines that were asked to yield, at -O2") { check(test_program("rt_waits_O2")); }
