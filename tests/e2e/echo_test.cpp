// Goroutines that wait for file descriptors: samples/echo with two thousand connections, as the tools see it, and what is
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

#include "support/process.h"

using namespace stacktide::test;
using nlohmann::json;

namespace {

constexpr int kConnections = 2000;
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

}  // namespace

TEST_CASE(
    "two thousand idle connections are two thousand goroutines in IO wait, which list, sched, stack and audit understand") {
  auto child = Child::start({sample_program("echo"), "--self-test", std::to_string(kConnections), "--wait"},
                            {.env = {"STACKTIDE_MAXPROCS=2"}, .folder = {}, .core = false});
  child.wait_for_line("ready");
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
  for (const auto& [entry, count] : found) {
    CAPTURE(entry);
    CHECK(entry.ends_with(" [IO wait]"));
    if (entry.find("serve") != std::string::npos) CHECK(count == kConnections);
    if (entry.find("accept_all") != std::string::npos) CHECK(count == 1);
  }
  CHECK(found.size() == 2);
  CHECK(list.at("counts") == json({{"total", kConnections + 2}, {"read", kConnections + 2}, {"skipped", 0}}));

  const json groups = cli({"list", "--group", "status"}, child).at("groups");
  INFO(groups.dump().substr(0, 400));
  REQUIRE(groups.size() == 1);
  CHECK(groups[0].at("ids").size() == kConnections + 2);
  const auto grouped = text({"list", "--group", "status"}, child);
  INFO(grouped);
  CHECK(std::regex_match(
      grouped, std::regex(" *count  status +ids *\n *2,?002  IO wait  [-, 0-9a-z]+\n2,?002 goroutines in 1 group\n")));

  // Each names its descriptor.
  std::map<std::string, std::string> descriptors;
  for (const auto& g : list.at("goroutines")) descriptors[g.at("wait_object").get<std::string>()] = "";
  CHECK(descriptors.size() == kConnections + 2);
  const auto& first = list.at("goroutines").at(0);
  const auto stack = text({"stack", std::to_string(first.at("id").get<int>())}, child);
  const auto object = first.at("wait_object").get<std::string>();
  INFO(stack);
  CHECK(std::regex_search(stack, std::regex("waits for +poll_descriptor " + object + ", fd \\d+\n")));
  const json whereis = cli({"whereis", object, "--as", "poll_descriptor"}, child);
  INFO(whereis.dump());

  const auto sched = text({"sched"}, child);
  INFO(sched);
  CHECK(std::regex_search(sched, std::regex("idle")));
  // Whoever is connected may speak at any time.
  const auto audit = run({cli_program(), "audit", "--pid", std::to_string(child.pid())});
  CHECK(audit.exit_code == 0);
  CHECK(audit.out.find("deadlock") == std::string::npos);

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
