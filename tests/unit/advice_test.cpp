// What `trace advise` says of recordings built by hand.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "command/advise.h"
#include "support/process.h"
#include "support/trace_writer.h"

using namespace stacktide;
using namespace stacktide::test;
using nlohmann::json;

namespace {

constexpr std::uint64_t kWorker = 0x1000;
constexpr std::uint64_t kIdle = 0x2000;
constexpr std::uint64_t kParse = 0x3000;
constexpr std::uint64_t kLoop = 0x3100;

void add_names(TraceWriter& writer) {
  writer.symbol(kWorker, true, "worker", "/src/pool.cpp", 10);
  writer.symbol(kIdle, true, "idle", "/src/pool.cpp", 20);
  writer.symbol(kParse, false, "parse", "/src/parse.cpp", 5);
  writer.symbol(kLoop, false, "loop", "/src/parse.cpp", 30);
  writer.chain(1, {kParse, kLoop});
}

stacktide_trace_goroutine used(std::uint64_t high_water) {
  stacktide_trace_goroutine counters{};
  counters.high_water = high_water;
  return counters;
}

// 60 workers of which at most 3 are alive at the same time, each of which grows to 8 KiB, every tenth to 16 KiB; 5 that idle
// meanwhile.
void write_pool(TraceWriter& writer) {
  add_names(writer);
  for (std::uint64_t id = 1; id <= 5; ++id) writer.spawn(static_cast<std::int64_t>(id), id, 0, kIdle);
  for (std::uint64_t i = 0; i < 60; ++i) {
    const auto id = 10 + i;
    const auto time = static_cast<std::int64_t>(100 + i * 100);
    writer.spawn(time, id, 1, kWorker);
    writer.stack(STACKTIDE_TRACE_GROW, time + 10, id, 1, 2048, 4096, 1000, 2000);
    writer.stack(STACKTIDE_TRACE_GROW, time + 20, id, 1, 4096, 8192, 3000, 3000);
    if (i % 10 == 0) writer.stack(STACKTIDE_TRACE_GROW, time + 30, id, 1, 8192, 16384, 7000, 5000);
    // Of three, the first ends.
    if (i >= 2) writer.exit(time + 40, used((i - 2) % 10 == 0 ? 9000 : 5000), id - 2);
  }
  for (const auto i : {58U, 59U}) writer.exit(10000, used(5000), 10 + i);
}

json advice_of(const std::string& path, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {path, "--json"});
  const auto result = run_advise(more, {});
  REQUIRE(result.exit_code == 0);
  return json::parse(result.out);
}

json option_of(const json& advice, std::uint64_t size) {
  for (const auto& option : advice.at("options")) {
    if (option.at("size") == size) return option;
  }
  FAIL("no such option");
  return {};
}

}  // namespace

TEST_CASE("the first size that half of the goroutines reach anyway is recommended, with what it saves and costs") {
  TempDir folder;
  const auto path = folder / "pool.stt";
  {
    TraceWriter writer(path);
    write_pool(writer);
  }
  const auto result = run_advise({path}, {});
  CHECK(result.err == "");
  CHECK(result.exit_code == 0);
  CHECK(result.out ==
        "worker (pool.cpp:10): 60 goroutines, at most 3 alive; 126 grows (2.1 each), 0 shrinks, 0 links, 282,000 bytes "
        "copied, 330.0 us\n"
        "  bytes used at most: p50 5000, p90 5000, p99 9000, max 9000\n"
        "     to 8 KiB  54  ########################################\n"
        "    to 16 KiB   6  #####\n"
        "  start at  grows saved  shrinks saved  bytes saved  time saved       memory at most  reach it anyway\n"
        "     4 KiB     60 (48%)              0       60,000    120.0 us    3 x 2 KiB = 6 KiB             100%\n"
        "     8 KiB    120 (95%)              0      240,000    300.0 us   3 x 6 KiB = 18 KiB             100%\n"
        "    16 KiB   126 (100%)              0      282,000    330.0 us  3 x 14 KiB = 42 KiB              10%\n"
        "  -> start goroutines of `worker` at 8 KiB: saves 95% of 126 growths (240,000 bytes copied, 300.0 us) for 6 KiB "
        "more in each "
        "of at most 3 alive, 18 KiB\n"
        "\n"
        "1 entry function whose goroutines never grew\n"
        "the runtime knows one first size for all goroutines, and none for those of one function:\n"
        "  STACKTIDE_MINSTACK=8K saves 95% of 126 growths (240,000 bytes copied, 300.0 us) for 6 KiB more in each of at "
        "most 8 alive, "
        "48 KiB\n");
  CHECK(run_advise({path, "--entry", "idle"}, {}).out.find("worker") == std::string::npos);

  const auto advice = advice_of(path);
  CHECK(advice["schema"] == "stacktide-advice/1");
  CHECK(advice["first_size"] == 2048);
  CHECK(advice["entries"].size() == 2);
  CHECK(advice["entries"][0]["function"] == "worker");
  CHECK(advice["entries"][0]["recommended"] == 8192);
  CHECK(advice["entries"][1]["recommended"] == nullptr);
  CHECK(advice["entries"][1]["text"] == "leave the first size of `idle`: its stacks never grew");
  CHECK(advice["all"]["most_alive"] == 8);
}

TEST_CASE("what is not worth it is not recommended, and the reason is given") {
  TempDir folder;
  const auto path = folder / "few.stt";
  {
    TraceWriter writer(path);
    add_names(writer);
    for (std::uint64_t id = 1; id <= 4; ++id) writer.spawn(static_cast<std::int64_t>(id), id, 0, kWorker);
    writer.stack(STACKTIDE_TRACE_GROW, 10, 1, 1, 2048, 4096, 1000, 2000);
    writer.spawn(11, 5, 0, kIdle);
    writer.stack(STACKTIDE_TRACE_GROW, 12, 5, 1, 2048, 4096, 1000, 2000);
  }
  const auto advice = advice_of(path);
  CHECK(advice["entries"][0]["text"] == "leave the first size of `worker`: only 1 of 4 goroutines grow");
  CHECK(advice["entries"][1]["text"] == "leave the first size of `idle`: it would save 1 growths, fewer than 100");
  CHECK(run_advise({path}, {}).out.find("STACKTIDE_MINSTACK") == std::string::npos);
}

TEST_CASE("a large frame leaves out sizes, and a growth past the first size happens all the same") {
  TempDir folder;
  const auto path = folder / "large.stt";
  {
    TraceWriter writer(path);
    add_names(writer);
    writer.spawn(1, 1, 0, kWorker);
    writer.stack(STACKTIDE_TRACE_GROW, 2, 1, 1, 2048, 16384, 1000, 100);
    writer.stack(STACKTIDE_TRACE_SHRINK, 3, 1, 0, 16384, 8192, 500, 10);
    writer.stack(STACKTIDE_TRACE_SHRINK, 4, 1, 0, 8192, 4096, 500, 10);
    writer.stack(STACKTIDE_TRACE_GROW, 5, 1, 1, 4096, 16384, 1200, 100);
    writer.stack(STACKTIDE_TRACE_GROW, 6, 1, 1, 16384, 32768, 15000, 900);
  }
  const auto advice = advice_of(path)["entries"][0];
  const auto check = [&](std::uint64_t size, int grows, int shrinks, int bytes, int ns) {
    const auto option = option_of(advice, size);
    CHECK(option["grows_saved"] == grows);
    CHECK(option["shrinks_saved"] == shrinks);
    CHECK(option["bytes_saved"] == bytes);
    CHECK(option["nanoseconds_saved"] == ns);
  };
  check(4096, 0, 0, 0, 0);
  check(8192, 0, 1, 500, 10);
  check(16384, 2, 2, 3200, 220);
  check(32768, 3, 2, 18200, 1120);
}

TEST_CASE("hot splits and thrash are named with their call, and a cure") {
  TempDir folder;
  const auto path = folder / "hot.stt";
  {
    TraceWriter writer(path);
    add_names(writer);
    writer.header.policy = 2;
    writer.spawn(1, 1, 0, kWorker);
    for (std::int64_t turn = 0; turn < 3; ++turn) {
      writer.stack(STACKTIDE_TRACE_LINK, 10 + turn * 2, 1, 1, 2048, 8192, 1000, turn == 0 ? 500 : 0,
                   turn == 0 ? 0 : STACKTIDE_TRACE_HOT);
      // Copied while it is linked: another first size does not matter to that.
      if (turn == 0) writer.stack(STACKTIDE_TRACE_GROW, 10, 1, 1, 8192, 16384, 4000, 100);
      writer.stack(STACKTIDE_TRACE_RELEASE, 11 + turn * 2, 1, 0, turn == 0 ? 16384 : 8192, 2048, 0, 0);
    }
  }
  const auto text = run_advise({path}, {}).out;
  CHECK(text.ends_with(
      "  -> leave the first size of `worker`: its stacks are linked and not copied, which is not predicted\n\n"
      "hot split: parse (parse.cpp:5) called from loop (parse.cpp:30): 2 of 3 links linked a kept segment again\n"
      "  -> STACKTIDE_POLICY=auto, with stacktide_goroutines(TARGET MOVABLE), copies the stack once instead; or a larger "
      "segment, STACKTIDE_SEGMENT=16K\n"));
  const auto thrash = folder / "thrash.stt";
  {
    TraceWriter writer(thrash);
    add_names(writer);
    writer.spawn(1, 1, 0, kWorker);
    for (std::int64_t turn = 0; turn < 3; ++turn) {
      writer.stack(STACKTIDE_TRACE_GROW, 10 + turn * 10, 1, 1, 2048, 4096, 1000, 400);
      writer.stack(STACKTIDE_TRACE_SHRINK, 15 + turn * 10, 1, 0, 4096, 2048, 300, 100);
    }
  }
  CHECK(run_advise({thrash}, {})
            .out.ends_with(
                "thrash: parse (parse.cpp:5) called from loop (parse.cpp:30) grew 2 times again after a shrink; 3900 bytes "
                "copied, 1.5 us\n"
                "  -> STACKTIDE_SHRINK=off keeps stacks large; or start at what is needed, STACKTIDE_MINSTACK=4K\n"));
  CHECK(advice_of(thrash)["thrash"][0]["growth"]["thrash"] == 2);
}

TEST_CASE("no recording, a lossy one, and an empty one") {
  TempDir folder;
  CHECK(run_advise({}, {}).err == "trace advise: of which recording? give its file (see help)\n");
  CHECK(run_advise({"/etc/passwd"}, {}).exit_code == 2);
  CHECK(run_advise({folder / "absent"}, {}).exit_code == 2);
  const auto lossy = folder / "lossy.stt";
  {
    TraceWriter writer(lossy);
    writer.header.lost = 3;
  }
  const auto result = run_advise({lossy}, {});
  CHECK(result.out == "nothing grew\n");
  CHECK(result.err == "warning: 3 records were lost while recording: there was more growth than this\n");
  CHECK(result.exit_code == 3);
  CHECK(run_advise({lossy, "--entry", "("}, {}).exit_code == 2);
}
