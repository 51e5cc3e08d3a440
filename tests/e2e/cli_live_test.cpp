// The command line on real processes: the numbers equal the program's own, the process runs on untraced, and whatever cannot
// be read is said in one line with what to do.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/park.h"

using namespace stacktide::test;

namespace {

Output cli(const std::vector<std::string>& arguments, const StartOptions& options = {}) {
  std::vector<std::string> argv = {cli_program()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run(argv, kTimeout, options);
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string pid_of(const Child& child) { return std::to_string(child.pid()); }

bool running(const Child& child) {
  const auto state = status_field(child.pid(), "State");
  return state.starts_with("S") || state.starts_with("R");
}

}  // namespace

TEST_CASE("a live program's goroutines have the numbers that the program measured, and it runs on untraced") {
  Park park(1000);
  const auto list = cli({"list", "--json", "--pid", pid_of(park.child)});
  CHECK(list.exit_code == 0);
  REQUIRE(measured(park).size() == 1000);
  CHECK(listed(list.out) == measured(park));
  const auto parsed = nlohmann::json::parse(list.out);
  CHECK(parsed.at("schema") == "stacktide/1");
  CHECK(parsed.at("counts") == nlohmann::json({{"total", 1001}, {"read", 1001}, {"skipped", 0}}));
  const auto waiting = std::ranges::count_if(parsed.at("goroutines"), [](const auto& g) {
    return g.at("status") == "waiting" && g.at("wait_reason") == "chan receive" &&
           g.at("function").template get<std::string>().ends_with("park_below") &&
           g.at("file").template get<std::string>().ends_with("park.cpp") && g.at("line").template get<int>() > 0;
  });
  CHECK(waiting == 1000);
  CHECK(status_field(park.child.pid(), "TracerPid") == "0");
  CHECK(running(park.child));
  park.child.close_stdin();
  CHECK(park.child.wait() == 0);
}

TEST_CASE("the pause is printed, on stderr") {
  Park park(3);
  const auto list = cli({"list", "--pid", pid_of(park.child)});
  REQUIRE(list.exit_code == 0);
  CHECK(list.err.starts_with(fmt::format("stopped process {} for ", park.child.pid())));
  CHECK(list.err.ends_with(" ms\n"));
}

TEST_CASE("every command answers about a goroutine in a blocking call, down to its entry") {
  Park park(2);
  const auto bt = cli({"bt", "1", "--json", "--pid", pid_of(park.child)});
  REQUIRE(bt.exit_code == 0);
  const auto parsed = nlohmann::json::parse(bt.out);
  const auto& goroutine = parsed.at("goroutines").at(0);
  CHECK(goroutine.at("status") == "syscall");
  const auto& frames = goroutine.at("frames");
  CHECK(frames.back().at("function") == "stacktide_goroutine_start");
  // From read(2) in libc, over the way off the goroutine's stack, to its own frames.
  const auto has = [&](std::string_view name) {
    return std::ranges::any_of(frames, [&](const auto& f) { return f.at("symbol").template get<std::string>() == name; });
  };
  CHECK(has("__morestack"));
  for (const char* command : {"sched", "history", "runtime"})
    CHECK(cli({command, "--pid", pid_of(park.child)}).exit_code == 0);
  CHECK(cli({"stack", "1", "--pid", pid_of(park.child)}).exit_code == 0);
}

TEST_CASE("what is no goroutine program is refused in one line with exit code 2") {
  const auto one_line = [](const Output& output) {
    CAPTURE(output.err);
    CHECK(output.exit_code == 2);
    CHECK(output.out.empty());
    const auto lines = split_lines(output.err);
    // The pause of an attach has a line of its own.
    const auto errors = std::ranges::count_if(lines, [](const auto& line) { return line.starts_with("stacktide: "); });
    CHECK(errors == 1);
    return std::string(*std::ranges::find_if(lines, [](const auto& line) { return line.starts_with("stacktide: "); }));
  };
  SUBCASE("a pid that nobody has") {
    // 2^22 is the kernel's largest pid_max; no process has a pid beyond.
    CHECK(one_line(cli({"list", "--pid", "4194305"})) == "stacktide: there is no process 4194305 (check the pid)");
  }
  SUBCASE("a program without the runtime") {
    auto child = Child::start({test_program("sleeper")});
    child.wait_for_line("ready");
    CHECK(one_line(cli({"list", "--pid", pid_of(child)})) ==
          fmt::format(
              "stacktide: no goroutine runtime in process {} ({}) (build the program with stacktide_goroutines(target))",
              child.pid(), std::filesystem::canonical(test_program("sleeper")).string()));
    CHECK(running(child));
  }
  SUBCASE("a goroutine that is not there") {
    Park park(2);
    const auto line = one_line(cli({"bt", "99", "--pid", pid_of(park.child)}));
    CHECK(line.starts_with("stacktide: no goroutine 99"));
  }
  SUBCASE("no target, two targets, an unknown command, an unknown option") {
    one_line(cli({"list"}));
    one_line(cli({"list", "--pid", "1", "--core", "x"}));
    one_line(cli({"lisst", "--pid", "1"}));
    one_line(cli({"list", "--pid", "1", "--jsn"}));
  }
  SUBCASE("another user's process") {
    if (geteuid() != 0) return;  // to become another user
    Park park(2);
    const auto output = run(
        {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", cli_program(), "list", "--pid", pid_of(park.child)});
    const auto line = one_line(output);
    CHECK(line.find("user") != std::string::npos);
    CHECK(running(park.child));
  }
}

TEST_CASE("a process that GDB holds is read as it stands") {
  Park park(5);
  auto gdb = Child::start({"gdb", "-nx", "-q", "-iex", "set debuginfod enabled off", "-p", pid_of(park.child)});
  gdb.send_line("echo held\\n");
  gdb.wait_for_line("held");
  const auto list = cli({"list", "--json", "--pid", pid_of(park.child)});
  CAPTURE(list.err);
  CHECK((list.exit_code == 0 || list.exit_code == 3));
  CHECK(listed(list.out) == measured(park));
  gdb.send_line("detach");
  gdb.send_line("quit");
  gdb.close_stdin();
  gdb.wait();
}

TEST_CASE("a stripped program lists its goroutines and unwinds them; names are what is missing") {
  TempDir folder;
  const auto stripped = folder / "park";
  REQUIRE(run({"strip", "-s", "-o", stripped, sample_program("park")}).exit_code == 0);
  Park park(32, stripped);
  const auto list = cli({"list", "--json", "--pid", pid_of(park.child)});
  CAPTURE(list.err);
  CHECK((list.exit_code == 0 || list.exit_code == 3));
  CHECK(listed(list.out) == measured(park));
  const auto bt = cli({"bt", "33", "--json", "--pid", pid_of(park.child)});
  const auto frames = nlohmann::json::parse(bt.out).at("goroutines").at(0).at("frames");
  // 32 calls, the worker, the closure, the runtime's two: one level each, without inlined ones.
  CHECK(frames.size() == 36);
}
