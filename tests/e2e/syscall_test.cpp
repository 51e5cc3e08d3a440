// Goroutines in library calls that last stop nobody else, and the tools say what each is in: on the live process, on a core,
// in GDB and in LLDB.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/process.h"
#include "support/sched_text.h"

using namespace stacktide::test;

namespace {

constexpr int kPs = 2;
constexpr int kCalls = kPs + 4;  // that last: read() by each reader, poll(), a mutex, on_system_stack(), blocking()

// Until each of them is known to last. `ready` comes when those in read() are.
Child start(const std::string& program) {
  auto child = Child::start({program, std::to_string(kPs)},
                            {.env = {fmt::format("STACKTIDE_MAXPROCS={}", kPs)}, .folder = {}, .core = true});
  child.wait_for_line("ready");
  const auto end = std::chrono::steady_clock::now() + kTimeout;
  while (true) {
    const auto list = cli_output({"list", "--json", "--with", "status=syscall"}, {"--pid", std::to_string(child.pid())});
    if (nlohmann::json::parse(list).at("goroutines").size() == kCalls) return child;
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error(list);
  }
}

// "rt_syscall.cpp:22", for the first line with this text.
std::string place(std::string_view text) {
  std::ifstream source(STACKTIDE_SOURCE_DIR "/tests/programs/rt_syscall.cpp");
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    if (line.find(text) != std::string::npos) return fmt::format("rt_syscall.cpp:{}", number);
  }
  throw std::runtime_error(fmt::format("no '{}' in rt_syscall.cpp", text));
}

// A list without its columns of numbers, which depend on the compiler.
std::string without_numbers(const std::string& list) {
  std::string text;
  std::size_t width = 0;
  for (const auto& line : lines_of(list)) {
    if (width == 0) width = line.find(" size ");
    auto kept = line.starts_with(" ") ? line.substr(0, width) : line;
    kept.erase(kept.find_last_not_of(' ') + 1);
    text += kept + "\n";
  }
  return text;
}

std::string expected_list() {
  const std::vector<std::array<std::string, 5>> rows = {
      {"id", "status", "wait-reason", "function", "file:line"},
      {"1", "syscall", "", "wait_for_end", place("read(STDIN_FILENO")},
      {"2", "syscall", "read", "reader", place("read(pipe, &byte, 1)")},
      {"3", "syscall", "read", "reader", place("read(pipe, &byte, 1)")},
      {"4", "waiting", "chan receive", "counter", place("release.recv()")},
      {"5", "waiting", "chan receive", "counter", place("release.recv()")},
      {"6", "syscall", "poll", "poller", place("poll(&wanted")},
      {"7", "syscall", "pthread_mutex_lock", "locker", place("guard(held)")},
      {"8", "syscall", "on_system_stack", "switched", place("&& byte == 0")},
  };
  std::string text;
  for (const auto& [id, status, reason, function, at] : rows)
    text += fmt::format("  {:>2}  {:7}  {:18}  {:12}  {}\n", id, status, reason, function, at);
  return text + "8 goroutines: 6 syscall, 2 waiting\n";
}

// What `sched` says of each P, and of each M that has a goroutine, by goroutine: without threads, addresses and counts.
struct Sched {
  std::vector<std::string> ps;
  std::vector<std::string> ms;
};
Sched sched_of(const std::string& text) {
  Sched result;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  REQUIRE(line.starts_with("P  status  M"));
  while (std::getline(lines, line) && !line.empty()) {
    std::istringstream words(line);
    std::string p, status, m;
    words >> p >> status >> m;
    result.ps.push_back(fmt::format("{} {} {}", p, status, m));
  }
  std::getline(lines, line);
  REQUIRE(line.starts_with("M  thread"));
  const auto call = line.find("in call");
  const auto stack = line.find("system stack");
  while (std::getline(lines, line) && !line.empty()) {
    std::istringstream words(line);
    std::string m, tid, status, goroutine, p;
    words >> m >> tid >> status >> goroutine >> p;
    std::istringstream in(line.substr(call, stack - call));
    std::string function;
    in >> function;
    if (goroutine != "-") result.ms.push_back(fmt::format("{} {} {} {}", goroutine, status, p, function));
  }
  std::ranges::sort(result.ms);
  return result;
}

// From a list in a debugger: the other columns are CLI's, and the selected goroutine has a mark.
std::string unmarked(std::string text) {
  std::ranges::replace(text, '*', ' ');
  return text;
}

void check(const std::string& program) {
  auto child = start(program);
  const std::vector<std::string> live = {"--pid", std::to_string(child.pid())};
  const auto list = cli_output({"list"}, live);
  CHECK(without_numbers(list) == expected_list());
  const auto sched = cli_output({"sched"}, live);
  INFO(sched);
  CHECK(sched_of(sched).ps == std::vector<std::string>{"0 idle -", "1 idle -"});
  CHECK(sched_of(sched).ms == std::vector<std::string>{"1 blocking - ", "2 blocking - read", "3 blocking - read",
                                                       "6 blocking - poll", "7 blocking - pthread_mutex_lock",
                                                       "8 blocking - on_system_stack"});
  CHECK(sched.find("\nwaiting       in calls without a P 6, timers 0\n") != std::string::npos);
  const auto bt = cli_output({"bt", "2"}, live);
  CHECK(bt.starts_with("goroutine 2 [syscall (read)]:\n"));

  const auto path = make_core(child);
  const std::vector<std::string> core = {"--core", path};
  CHECK(cli_output({"list"}, core) == list);
  CHECK(alike(cli_output({"sched"}, core)) == alike(sched));
  CHECK(cli_output({"bt", "2"}, core) == bt);
  const GdbSession gdb({"info goroutines", "goroutine sched", "goroutine 7"}, {.arguments = {program, path}});
  CHECK(unmarked(gdb.at(0)) == list);
  CHECK(alike(gdb.at(1)) == alike(sched));
  CHECK(gdb.at(2).starts_with("[Switching to goroutine 7 [syscall (pthread_mutex_lock)] locker]\n"));
  const auto session = lldb({fmt::format("target create --core {} {}", path, program), "goroutine list", "goroutine sched"});
  CHECK(unmarked(session[1]) == list);
  CHECK(alike(session[2]) == alike(sched));
}

}  // namespace

TEST_CASE("goroutines in library calls that last are listed with the function, and hold no P, at -O0") {
  check(test_program("rt_syscall_O0"));
}

TEST_CASE("goroutines in library calls that last are listed with the function, and hold no P, at -O2") {
  check(test_program("rt_syscall_O2"));
}

TEST_CASE("JSON has the function's name and address, the thread, and for how long; conditions find it") {
  auto child = start(test_program("rt_syscall_O2"));
  const std::vector<std::string> live = {"--pid", std::to_string(child.pid())};
  const auto list = nlohmann::json::parse(cli_output({"list", "--json", "--with", "wait_reason=^poll$"}, live));
  REQUIRE(list.at("goroutines").size() == 1);
  const auto& poller = list.at("goroutines").at(0);
  CHECK(poller.at("status") == "syscall");
  CHECK(poller.at("wait_reason") == "poll");
  CHECK(poller.at("wait_object").get<std::string>().starts_with("0x"));
  CHECK(poller.at("wait_ns").get<std::int64_t>() > 0);
  CHECK(poller.at("stack").at("used").get<int>() > 0);
  const auto sched = nlohmann::json::parse(cli_output({"sched", "--json"}, live));
  const auto& ms = sched.at("ms");
  const auto m = std::ranges::find_if(ms, [](const auto& one) { return one.at("goroutine") == 6; });
  REQUIRE(m != ms.end());
  CHECK(m->at("call") == "poll");
  CHECK(m->at("tid") == poller.at("tid"));
  CHECK(m->at("p").is_null());
}

TEST_CASE("a stripped program names its library calls all the same") {
  TempDir folder;
  const auto stripped = folder / "rt_syscall";
  REQUIRE(run({"strip", "-s", "-o", stripped, test_program("rt_syscall_O2")}).exit_code == 0);
  auto child = start(stripped);
  const auto list =
      nlohmann::json::parse(cli_output({"list", "--json", "--with", "id=^[2367]$"}, {"--pid", std::to_string(child.pid())}));
  std::string calls;
  for (const auto& g : list.at("goroutines")) calls += g.at("wait_reason").get<std::string>() + " ";
  CHECK(calls == "read read poll pthread_mutex_lock ");
}

TEST_CASE("the program ends with its input, whatever is still in a call") {
  auto child = start(test_program("rt_syscall_O2"));
  child.close_stdin();
  CHECK(child.wait() == 0);
}
