// `sched` and `runtime --layout`: OS threads with their stacks, and the address space as the process has it. CLI, GDB and
// LLDB say the same, live and on a core.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/park.h"
#include "support/process.h"
#include "support/sched_text.h"

using namespace stacktide::test;
using nlohmann::json;

namespace {

std::string cli(std::vector<std::string> words, const std::vector<std::string>& target) {
  words.insert(words.begin(), cli_program());
  words.insert(words.end(), target.begin(), target.end());
  const auto output = run(words);
  CAPTURE(output.err);
  REQUIRE(output.exit_code == 0);
  return output.out;
}

// The target is named by who asks, threads only by who knows their names.
std::string layout_alike(const std::string& text) {
  const auto unnamed = std::regex_replace(text, std::regex(" \\(park\\)(?=[:\n])"), "");
  return std::regex_replace(unnamed, std::regex("^(process|core)[^\n]*: ([0-9]+ mappings)"), "TARGET: $2");
}

const std::vector<std::string> kCommands = {"goroutine sched", "goroutine runtime --layout"};

void check_words_of_sched(const std::string& text, bool live, std::uint64_t main_tid) {
  CAPTURE(text);
  const std::string cpu = live ? "[0-9]+" : "-";
  CHECK(std::regex_search(text,
                          std::regex("\nM  thread +status +goroutine +P +in call +system stack +size +used +guard +CPU\n")));
  CHECK(std::regex_search(
      text, std::regex("\n[0-9]+ +[0-9]+ +blocking +1 +- +(read +)?0x[0-9a-f]+ - 0x[0-9a-f]+ +8388608 +[0-9]+ +4096 +" +
                       cpu + "\n")));
  // The main thread: its stack grows by itself, without a guard page.
  CHECK(std::regex_search(
      text,
      std::regex(fmt::format("\n +{} +\\S*  +0x7ff[0-9a-f]+ - 0x7ff[0-9a-f]+ +[0-9]+ +[0-9]+ +0 +{}\n", main_tid, cpu))));
  CHECK(std::regex_search(text, std::regex("\nidle +Ps [0-9]+(: [0-9 ]+)?, Ms [0-9]+(: [0-9 ]+)?, spinning Ms [0-9]+\n")));
}

void check_rows(const std::vector<std::string>& target, bool live) {
  const auto layout = json::parse(cli({"runtime", "--layout", "--json"}, target)).at("layout");
  std::uint64_t last = 0;
  const auto number = [](const json& text) { return std::stoull(text.get<std::string>(), nullptr, 16); };
  std::map<std::string, int> kinds;
  for (const auto& row : layout) {
    CHECK(number(row.at("start")) >= last);
    CHECK(number(row.at("end")) > number(row.at("start")));
    last = number(row.at("end"));
    ++kinds[row.at("kind")];
  }
  CAPTURE(layout.dump());
  CHECK(kinds["arena"] == 1);
  CHECK(kinds["text"] >= 1);
  CHECK(kinds["heap"] >= 1);
  CHECK(kinds["records"] >= 1);
  if (live) CHECK(kinds["kernel"] >= 2);
  // Each M's stack has a guard right below; the main thread's has none.
  const auto threads = json::parse(cli({"sched", "--json"}, target)).at("threads");
  int guarded = 0;
  for (const auto& thread : threads) {
    CHECK(thread.at("cpu").is_number() == live);
    if (thread.at("guard_size") == 0) continue;
    ++guarded;
    const auto stack = std::ranges::find(layout, thread.at("stack_lo"), [](const json& row) { return row.at("start"); });
    REQUIRE(stack != layout.end());
    CHECK(stack->at("kind") == "thread stack");
    CHECK(stack->at("end") == thread.at("stack_hi"));
    const auto guard = std::ranges::find(layout, thread.at("stack_lo"), [](const json& row) { return row.at("end"); });
    REQUIRE(guard != layout.end());
    CHECK(guard->at("kind") == "guard");
  }
  CHECK(guarded >= 2);
  CHECK(kinds["thread stack"] == static_cast<int>(threads.size()));
  // Every goroutine's stack lies in the arena.
  const auto arena = *std::ranges::find(layout, "arena", [](const json& row) { return row.at("kind"); });
  const auto list = json::parse(cli({"list"}, [&] {
    auto with = target;
    with.push_back("--json");
    return with;
  }()));
  for (const auto& g : list.at("goroutines")) {
    CHECK(number(g.at("stack").at("lo")) >= number(arena.at("start")));
    CHECK(number(g.at("stack").at("hi")) <= number(arena.at("end")));
  }
}

}  // namespace

TEST_CASE("a live process: threads, their stacks and CPUs, and the address space, in all front ends") {
  Park park(8);
  const std::vector<std::string> target = {"--pid", std::to_string(park.child.pid())};
  const auto sched = cli({"sched"}, target);
  check_words_of_sched(sched, true, static_cast<std::uint64_t>(park.child.pid()));
  check_rows(target, true);
  const auto layout = layout_alike(cli({"runtime", "--layout"}, target));
  const GdbSession gdb(kCommands, {.arguments = {"-p", target[1]}});
  CHECK(alike(gdb.at(0)) == alike(sched));
  CHECK(layout_alike(gdb.at(1)) == layout);
  const auto session = lldb({"process attach --pid " + target[1], kCommands[0], kCommands[1]});
  CHECK(alike(session[1]) == alike(sched));
  CHECK(layout_alike(session[2]) == layout);
}

TEST_CASE("a core of the kernel, and one of gcore: the same, without CPUs") {
  Park park(8);
  SUBCASE("gcore") {
    const GdbSession gdb({fmt::format("generate-core-file {}", park.folder / "core")},
                         {.arguments = {"-p", std::to_string(park.child.pid())}});
  }
  SUBCASE("kernel") { std::filesystem::copy(make_core(park.child), park.folder / "core"); }
  const auto core = park.folder / "core";
  const std::vector<std::string> target = {"--core", core};
  const auto sched = cli({"sched"}, target);
  check_words_of_sched(sched, false, static_cast<std::uint64_t>(park.child.pid()));
  check_rows(target, false);
  const auto layout = layout_alike(cli({"runtime", "--layout"}, target));
  const GdbSession gdb(kCommands, {.arguments = {sample_program("park"), core}});
  CHECK(alike(gdb.at(0)) == alike(sched));
  CHECK(layout_alike(gdb.at(1)) == layout);
  const auto session =
      lldb({fmt::format("target create --core {} {}", core, sample_program("park")), kCommands[0], kCommands[1]});
  CHECK(alike(session[1]) == alike(sched));
  CHECK(layout_alike(session[2]) == layout);
}
