// VS Code's view, through lldb-dap: goroutines as threads, their frames and variables, and our commands in its console. The
// configurations are those of lldb_plugin/launch.json, which README shows.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>

#include "support/dap.h"
#include "support/lldb.h"
#include "support/process.h"
#include "support/stepper.h"

using namespace stacktide::test;
using nlohmann::json;

namespace {

constexpr std::int64_t kGoroutineThread = 1'000'000'000'000;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A configuration with its placeholders filled in.
json configuration(const std::string& name, const std::map<std::string, std::string>& values) {
  auto text = read_file(STACKTIDE_SOURCE_DIR "/lldb_plugin/launch.json");
  const auto replace = [&](const std::string& placeholder, const std::string& value) {
    text = std::regex_replace(text, std::regex("\\b" + placeholder + "\\b"), value);
  };
  replace("PLUGIN", STACKTIDE_BUILD_DIR "/lib/stacktide_lldb.so");
  for (const auto& [placeholder, value] : values) replace(placeholder, value);
  for (json all = json::parse(text); auto& one : all.at("configurations")) {
    if (one.at("name") != name) continue;
    // The editor makes a number of it.
    if (one.contains("pid")) one["pid"] = std::stol(one.at("pid").get<std::string>());
    return one;
  }
  throw std::runtime_error("no configuration " + name);
}

std::string named(const json& thread) {
  const auto name = thread.at("name").get<std::string>();
  return name.substr(0, name.find(']') + 1);
}

// rt_handles when all of its goroutines wait: 2 to 21 do, 1 runs or is in a library call.
void check_views(DapClient& dap) {
  std::vector<std::string> names;
  for (const json all = dap.request("threads"); const json& thread : all.at("body").at("threads")) {
    if (thread.at("id").get<std::int64_t>() >= kGoroutineThread) names.push_back(named(thread));
  }
  REQUIRE(names.size() == 20);
  CHECK(names[0] == "goroutine 2 [chan receive]");
  CHECK(names[3] == "goroutine 5 [chan send]");
  CHECK(names[16] == "goroutine 18 [select]");
  CHECK(names[18] == "goroutine 20 [sync.Mutex.Lock]");
  CHECK(names[19] == "goroutine 21 [sync.WaitGroup.Wait]");

  const json trace =
      dap.request("stackTrace", {{"threadId", kGoroutineThread + 2}, {"startFrame", 0}, {"levels", 20}}).at("body");
  std::vector<std::string> places;
  for (const json& frame : trace.at("stackFrames"))
    places.push_back(fmt::format("{}:{}", frame.at("source").at("name").get<std::string>(), frame.at("line").get<int>()));
  CHECK(places == std::vector<std::string>{"switch.S:25", "channel.h:57", "rt_handles.cpp:81", "rt_handles.cpp:63",
                                           "runtime.h:69", "runtime.h:61", "switch.S:97"});
  CHECK(trace.at("stackFrames").at(0).at("name") == "stacktide_gopark");

  const json& receives = trace.at("stackFrames").at(1);
  const json scopes = dap.request("scopes", {{"frameId", receives.at("id")}}).at("body").at("scopes");
  REQUIRE(scopes.at(0).at("name") == "Locals");
  const json locals =
      dap.request("variables", {{"variablesReference", scopes.at(0).at("variablesReference")}}).at("body").at("variables");
  REQUIRE(locals.at(0).at("name") == "this");
  CHECK(locals.at(0).at("type") == "const stacktide::channel<int> *const");
  CHECK(std::regex_replace(locals.at(0).at("value").get<std::string>(), std::regex("0x[0-9a-f]+"), "0x.") ==
        "0x. channel<int> len 0 cap 8, 3 receivers waiting (goroutines 2, 3, 4)");

  for (const std::string command : {"goroutine list", "`goroutine list"}) {
    const auto list = dap.request("evaluate", {{"expression", command}, {"context", "repl"}, {"frameId", receives.at("id")}})
                          .at("body")
                          .at("result")
                          .get<std::string>();
    CAPTURE(list);
    CHECK(list.starts_with("(lldb) goroutine list\n"));
    // The thread that was asked about last is the one that is marked.
    CHECK(occurrences(list, "\n*   2  waiting  chan receive         ") == 1);
    CHECK(occurrences(list, "  waiting  ") == 20);
  }
}

Child start() {
  auto child = Child::start({test_program("rt_handles_O0")}, {.env = {"STACKTIDE_MAXPROCS=1"}, .folder = {}, .core = true});
  child.wait_for_line("ready");
  reading_thread(child.pid());
  return child;
}

}  // namespace

TEST_CASE("lldb-dap shows the goroutines of a process that it attaches to, and lets go of it") {
  auto child = start();
  DapClient dap;
  dap.request("attach",
              configuration("attach", {{"PROGRAM", test_program("rt_handles_O0")}, {"PID", std::to_string(child.pid())}}));
  dap.request("configurationDone");
  dap.event("stopped");
  check_views(dap);
  dap.request("disconnect", {{"terminateDebuggee", false}});
  child.close_stdin();
  CHECK(child.wait() == 0);
}

TEST_CASE("lldb-dap shows the goroutines of a core") {
  auto child = start();
  const auto core = make_core(child);
  DapClient dap;
  dap.request("attach", configuration("core", {{"PROGRAM", test_program("rt_handles_O0")}, {"CORE", core}}));
  dap.request("configurationDone");
  dap.event("stopped");
  check_views(dap);
}

TEST_CASE("lldb-dap shows the goroutines of a program that it launches, from the first breakpoint on") {
  DapClient dap;
  auto launch = configuration("launch", {{"PROGRAM", test_program("rt_handles_O0")}});
  launch["env"] = {"STACKTIDE_MAXPROCS=1"};
  dap.request("launch", launch);
  const json breakpoint =
      dap.request("setBreakpoints", {{"source", {{"path", STACKTIDE_SOURCE_DIR "/tests/programs/rt_handles.cpp"}}},
                                     {"breakpoints", json::array({{{"line", 70}}})}})
          .at("body")
          .at("breakpoints")
          .at(0);
  CHECK(breakpoint.at("verified") == true);
  dap.request("configurationDone");
  dap.event("stopped");
  check_views(dap);
  dap.request("disconnect", {{"terminateDebuggee", true}});
}

TEST_CASE("README shows the configurations that are tested") {
  CHECK(read_file(STACKTIDE_SOURCE_DIR "/README.md").find(read_file(STACKTIDE_SOURCE_DIR "/lldb_plugin/launch.json")) !=
        std::string::npos);
}
