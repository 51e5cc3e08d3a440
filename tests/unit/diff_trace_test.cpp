// `diff` of two recordings built by hand: by entry function and place of creation, at their ends.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "analyze/diff.h"
#include "command/diff.h"
#include "support/process.h"
#include "support/trace_writer.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr std::uint64_t kWorker = 0x1000;
constexpr std::uint64_t kOther = 0x2000;
constexpr std::uint64_t kMainLoop = 0x3000;
constexpr std::uint64_t kRetry = 0x3100;

// `workers` goroutines of worker(), all but the last `alive` ended; each grows once when `grows`.
std::string recording(const std::string& path, std::uint64_t workers, std::uint64_t alive, bool grows) {
  TraceWriter writer(path);
  writer.symbol(kWorker, true, "worker", "/src/pool.cpp", 10);
  writer.symbol(kOther, true, "other", "/src/pool.cpp", 20);
  writer.symbol(kMainLoop, false, "main_loop", "/src/main.cpp", 5);
  writer.symbol(kRetry, false, "retry", "/src/main.cpp", 9);
  writer.chain(1, {kMainLoop});
  writer.chain(2, {kRetry});
  writer.spawn(1, 1, 0, kOther, 1);
  for (std::uint64_t id = 2; id < 2 + workers; ++id) {
    const auto time = static_cast<std::int64_t>(id * 10);
    writer.spawn(time, id, 1, kWorker, id % 2 == 0 ? 1 : 2);
    if (grows) writer.stack(STACKTIDE_TRACE_GROW, time + 1, id, 1, 2048, 8192, 1500, 700);
    if (id < 2 + workers - alive) writer.exit(time + 2, {}, id);
  }
  writer.close();
  return path;
}

}  // namespace

TEST_CASE("two recordings: who was alive at the end, and what growth cost, by entry and place of creation") {
  TempDir folder;
  const auto before = recording(folder / "before.stt", 4, 0, false);
  const auto after = recording(folder / "after.stt", 6, 3, true);
  const auto result = run_diff({before, after}, {});
  CHECK(result.err == "");
  CHECK(result.exit_code == 0);
  CHECK(result.out ==
        "      live  old  new  spawned  exited  grows  copied  largest  entry   file:line    created by\n"
        "grew    +2    0    2       +1      -1     +3   +4500    +6144  worker  pool.cpp:10  retry (main.cpp:9)\n"
        "grew    +1    0    1       +1       0     +3   +4500    +6144  worker  pool.cpp:10  main_loop (main.cpp:5)\n"
        "\n"
        "at the end: goroutines 1 -> 4 (+3), stacks 2048 -> 26,624 bytes (+24,576)\n"
        "groups by entry and place of creation: 0 appeared, 0 vanished, 2 grew, 0 shrank, 0 changed, 1 unchanged\n");

  const auto limited = run_diff({before, after, "--group", "entry", "--max-new", "2"}, {});
  CHECK(limited.exit_code == 1);
  CHECK(limited.out.find(
            "finding: 3 goroutines more than before, limit 2 (--max-new); most of all in entry worker, created by "
            "main_loop (main.cpp:5) and 1 other place: +3\n") != std::string::npos);
  CHECK(run_diff({before, after, "--without", "entry=^worker$", "--max-new", "0"}, {}).exit_code == 0);

  const auto json = nlohmann::json::parse(run_diff({before, after, "--json"}, {}).out);
  CHECK(json["grouped_by"] == "creation");
  CHECK(json["old"]["kind"] == "trace");
  CHECK(json["groups"][0]["new_trace"]["spawned"] == 3);
  CHECK(json["groups"][0]["new_trace"]["exited"] == 1);
  CHECK(json["groups"][0]["old_trace"]["largest"] == 2048);
  CHECK(json["groups"][0]["new_trace"]["largest"] == 8192);
}

TEST_CASE("a recording that lost records is a partial result, and is not compared with a list") {
  TempDir folder;
  const auto whole = recording(folder / "whole.stt", 1, 0, false);
  const auto path = folder / "lossy.stt";
  {
    TraceWriter writer(path);
    writer.header.lost = 7;
    writer.spawn(1, 1, 0, kWorker);
  }
  const auto result = run_diff({whole, path}, {});
  CHECK(result.exit_code == 3);
  CHECK(result.err.find("warning: " + path + ": 7 records were lost while recording\n") != std::string::npos);
  const auto mixed = run_diff({whole, "-"}, {});
  CHECK(mixed.exit_code == 2);
  CHECK(mixed.err == "diff: a recording can only be compared with another recording (see help)\n");
}

TEST_CASE("sizes are typed with binary units, and no others") {
  CHECK(parse_size("65536") == 65536);
  CHECK(parse_size("64K") == 65536);
  CHECK(parse_size("64KiB") == 65536);
  CHECK(parse_size("3M") == 3145728);
  CHECK(parse_size("1GiB") == 1073741824);
  for (const auto* wrong : {"", "K", "1KB", "1.5M", "-1", "1k", "99999999999999999999", "99999999999999T"})
    CHECK(parse_size(wrong) == std::nullopt);
}

TEST_CASE("groups match by key, and goroutines by id and entry") {
  const auto moment = [](std::vector<std::pair<std::string, std::vector<MomentGoroutine>>> groups) {
    Moment made;
    made.pid = 1;
    for (auto& [entry, members] : groups) {
      MomentGroup group;
      group.entry = entry;
      group.key = key_of(group, Grouping::entry);
      for (auto member : members) {
        member.group = static_cast<std::uint32_t>(made.groups.size());
        ++group.count;
        group.stack_bytes += member.size;
        made.goroutines.push_back(member);
      }
      made.groups.push_back(group);
    }
    made.grouping = Grouping::entry;
    made.finish();
    return made;
  };
  const auto before = moment({{"a", {{1, 2048, 0}, {2, 2048, 0}, {5, 8192, 0}}}, {"b", {{3, 2048, 0}}}});
  // 2 is another goroutine now, 5 has shrunk, 1 has grown more than 3.
  const auto after =
      moment({{"b", {{3, 4096, 0}}}, {"a", {{1, 8192, 0}, {5, 2048, 0}}}, {"c", {{2, 65536, 0}, {4, 2048, 0}}}});
  const auto diff = compare(before, after, {.most_new = 0, .most_group_growth = 1, .most_stack_growth = 0});
  REQUIRE(diff.grown.size() == 2);
  CHECK(diff.grown[0].id == 1);
  CHECK(diff.grown[1].id == 3);
  REQUIRE(diff.changes.size() == 3);
  CHECK(diff.changes[0].shown().entry == "c");
  CHECK(diff.changes[0].what() == std::string("appeared"));
  CHECK(diff.changes[1].shown().entry == "b");
  CHECK(diff.changes[1].what() == std::string("changed"));
  CHECK(diff.changes[2].shown().entry == "a");
  CHECK(diff.changes[2].change() == -1);
  CHECK(diff.changes[2].stack_change() == -2048);
  REQUIRE(diff.findings.size() == 3);
  CHECK(diff.findings[0].value == 1);
  CHECK(diff.findings[1].value == 2);
  CHECK(diff.findings[2].group->entry == "c");
}
