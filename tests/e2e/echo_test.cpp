// Goroutines that wait for file descriptors: samples/echo with ten thousand connections, as the tools see it, and what is
// said when such a wait is misused.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "support/process.h"
#include "view/text.h"

using namespace stacktide::test;
using nlohmann::json;

namespace {

constexpr int kConnections = 10'000;
constexpr int kAborted = 128 + SIGABRT;

json cli(std::vector<std::string> arguments, const Child& child) {
  arguments.insert(arguments.begin(), cli_program());
  arguments.insert(arguments.end(), {"--pid", std::to_string(child.pid()), "--json"});
  const auto output = run(arguments);
  INFO(output.err);
  REQUIRE(output.exit_code == 0);
  return json::parse(output.out);
}

std::string text(std::vector<std::string> arguments, const Child& child) {
  arguments.insert(arguments.begin(), cli_program());
  arguments.insert(arguments.end(), {"--pid", std::to_string(child.pid())});
  const auto output = run(arguments);
  INFO(output.err);
  REQUIRE(output.exit_code == 0);
  return output.out;
}

// "entry [wait reason]" of all that wait.
std::map<std::string, int> waits(const json& list) {
  std::map<std::string, int> count;
  for (const auto& g : list.at("goroutines")) {
    if (g.at("status") == "waiting")
      ++count[fmt::format("{} [{}]", g.at("entry").get<std::string>(), g.at("wait_reason").get<std::string>())];
  }
  return count;
}

// It says "ready" before main and the last connection that echoed something wait again.
json list_at_rest(const Child& child) {
  for (const auto start = std::chrono::steady_clock::now();;) {
    auto list = cli({"list"}, child);
    const auto& all = list.at("goroutines");
    if (std::ranges::all_of(all, [](const auto& g) { return g.at("status") == "waiting"; })) return list;
    REQUIRE(std::chrono::steady_clock::now() - start < kTimeout);
  }
}

Output end_of(const std::string& level, const std::string& how, const std::string& procs) {
  return run({test_program("rt_net_" + level), how}, kTimeout,
             {.env = {"STACKTIDE_MAXPROCS=" + procs}, .folder = {}, .core = false});
}

// The idle connections of a running echo: kConnections, or as many as it says that the limit of open files allows.
struct Idle {
  Child child;
  int connections;
};

Idle start_idle() {
  Idle idle{Child::start({sample_program("echo"), "--self-test", std::to_string(kConnections), "--wait"},
                         {.env = {"STACKTIDE_MAXPROCS=2"}, .folder = {}, .core = false}),
            kConnections};
  const auto output = idle.child.wait_for_line("ready");
  if (output.starts_with("only ")) {
    idle.connections = std::stoi(output.substr(5));
    MESSAGE(output.substr(0, output.find('\n')));
  }
  return idle;
}

}  // namespace

TEST_CASE(
    "ten thousand idle connections are ten thousand goroutines in IO wait, which list, sched, stack and audit understand") {
  auto [child, connections] = start_idle();
  const auto all = static_cast<std::size_t>(connections) + 2;
  const json list = list_at_rest(child);
  auto found = waits(list);
  int main = 0;
  std::erase_if(found, [&](const auto& entry) {
    if (entry.first.find("self_test") == std::string::npos) return false;
    CHECK(entry.first.ends_with(" [IO wait]"));
    main += entry.second;
    return true;
  });
  CHECK(main == 1);
  CHECK(found == std::map<std::string, int>{{"(anonymous namespace)::accept_all [IO wait]", 1},
                                            {"(anonymous namespace)::serve [IO wait]", connections}});
  CHECK(list.at("counts") == json({{"total", all}, {"read", all}, {"skipped", 0}}));

  // Each names its descriptor.
  std::set<std::string> descriptors;
  for (const auto& g : list.at("goroutines")) descriptors.insert(g.at("wait_object").get<std::string>());
  CHECK(descriptors.size() == all);
  const auto object = list.at("goroutines").at(0).at("wait_object").get<std::string>();
  CHECK(text({"stack", "1"}, child).find("\n  waits for    poll_descriptor " + object + ", fd 0\n") != std::string::npos);
  CHECK(text({"whereis", object, "--as", "poll_descriptor"}, child) ==
        object + ": heap or other memory\n  object  poll_descriptor, fd 0\n");

  const auto number = stacktide::grouped(all);
  CHECK(text({"list", "--group", "status"}, child) ==
        fmt::format("{0:>{1}}  status   ids\n{2}  IO wait  1-{3}\n{2} goroutines in 1 group\n", "count", number.size(),
                    number, all));

  const auto sched = text({"sched"}, child);
  CAPTURE(sched);
  std::smatch watcher;
  REQUIRE(std::regex_search(sched, watcher, std::regex("\n *(\\d+) +\\d+  watching +-  -  ")));
  CHECK(std::regex_search(sched, std::regex("\nidle          Ps 2: 0 1, Ms (\\d+): 0( \\d+)*, spinning Ms 0\n"
                                            "waiting       in calls without a P 0, timers 0, for descriptors " +
                                            number + " \\(M " + watcher[1].str() + " is watching\\)\n")));
  const json ms = cli({"sched"}, child).at("ms");
  CHECK(std::ranges::count(ms, "watching", [](const auto& m) { return m.at("status").template get<std::string>(); }) == 1);

  // Whoever is connected may speak at any time, however long it takes.
  const auto audit = text({"audit", "--waiting", "0"}, child);
  CHECK(std::regex_match(audit, std::regex(number + " goroutines audited, [\\d,]+ frames, 0 findings, 0 notes\n")));

  child.close_stdin();
  CHECK(child.wait() == 0);
}

TEST_CASE("a wait for a descriptor that is over keeps no deadlock from being seen") {
  for (const char* level : {"O0", "O2"}) {
    for (const char* procs : {"1", "4"}) {
      const auto output = end_of(level, "deadlock", procs);
      INFO(output.err);
      CHECK(output.exit_code == kAborted);
      CHECK(output.err.starts_with("fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\n"));
      CHECK(output.err.find("\ngoroutine 2 ") == std::string::npos);
    }
  }
}

TEST_CASE("a second goroutine that waits for the same thing ends the program") {
  for (const char* level : {"O0", "O2"}) {
    const auto output = end_of(level, "twice", "2");
    INFO(output.err);
    CHECK(output.exit_code == kAborted);
    CHECK(output.err.starts_with("panic: net: another goroutine waits for the same file descriptor already\n\ngoroutine "));
    CHECK(output.err.find("wait_readable") != std::string::npos);
  }
}
