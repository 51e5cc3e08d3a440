// Rules on recordings whose every number is known: what each metric is, what filters and tolerances do, who is to blame.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "analyze/check.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "support/checked_trace.h"
#include "support/process.h"
#include "trace/recording_source.h"
#include "view/check.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

struct Traces {
  Traces() {
    write_checked_trace(folder / "t.stt");
    write_checked_trace(folder / "old.stt", true);
  }
  // What `trace check` prints, or the errors.
  std::string check(std::string_view toml, bool with_baseline = false, std::size_t top = 5) {
    const auto rules = parse_rules(toml, "r.toml");
    REQUIRE(rules);
    const auto now = *Recording::open(folder / "t.stt");
    const auto before = *Recording::open(folder / "old.stt");
    RecordingSource source(now);
    RecordingSource baseline(before);
    const auto report = stacktide::check(*rules, source, with_baseline ? &baseline : nullptr, {top});
    std::string text;
    if (report) {
      exit_code = report->exit_code();
      text = check_text(*report, {});
    } else {
      exit_code = 2;
      for (const auto& line : report.error()) text += line + '\n';
    }
    for (auto at = text.find(folder.path() + '/'); at != text.npos; at = text.find(folder.path() + '/'))
      text.erase(at, folder.path().size() + 1);
    return text;
  }
  // The first line for one rule.
  std::string verdict(std::string_view metric, std::string_view more, bool with_baseline = false) {
    const auto text = check(fmt::format("[[rule]]\nname = 'a'\nmetric = '{}'\n{}\n", metric, more), with_baseline);
    return text.substr(0, text.find('\n'));
  }
  TempDir folder;
  int exit_code = 0;
};

}  // namespace

TEST_CASE_FIXTURE(Traces, "each metric's value, and a limit that is just held and just not") {
  CHECK(verdict("largest_stack", "max = 8192") == "ok    a: largest_stack 8 KiB (8192 bytes), limit 8 KiB (8192 bytes)");
  CHECK(verdict("largest_stack", "max = 8191") == "FAIL  a: largest_stack 8 KiB (8192 bytes), limit 8.0 KiB (8191 bytes)");
  CHECK(verdict("high_water", "max = 5000") == "ok    a: high_water 4.9 KiB (5000 bytes), limit 4.9 KiB (5000 bytes)");
  CHECK(verdict("growths_per_goroutine", "max = 3") == "ok    a: growths_per_goroutine 3, limit 3");
  CHECK(verdict("growths", "max = 5") == "FAIL  a: growths 6, limit 5");
  CHECK(verdict("bytes_copied", "max = 4000") == "ok    a: bytes_copied 3.9 KiB (4000 bytes), limit 3.9 KiB (4000 bytes)");
  CHECK(verdict("growth_time_share", "max = 4") == "ok    a: growth_time_share 3.9%, limit 4%");
  CHECK(verdict("growth_time_share", "max = '3.89%'") == "FAIL  a: growth_time_share 3.9%, limit 3.89%");
  CHECK(verdict("longest_growth", "max = '2us'") == "ok    a: longest_growth 2.0 us (2000 ns), limit 2.0 us (2000 ns)");
  CHECK(verdict("hot_splits", "max = 1") == "FAIL  a: hot_splits 2, limit 1");
  CHECK(verdict("thrash", "max = 1") == "ok    a: thrash 1, limit 1");
  CHECK(verdict("live_at_exit", "max = 2") == "ok    a: live_at_exit 2, limit 2");
  CHECK(verdict("deadlock", "max = 0") == "ok    a: deadlock 0, limit 0");
  CHECK(verdict("lost_events", "max = 0") == "ok    a: lost_events 0, limit 0");
}

TEST_CASE_FIXTURE(Traces, "filters take a part of it") {
  CHECK(verdict("growths", "max = 9\nentry = '^worker$'") == "ok    a: growths 3, limit 9");
  CHECK(verdict("growths", "max = 9\nlabel = 'conn'") == "ok    a: growths 3, limit 9");
  CHECK(verdict("growths", "max = 9\nfunction = 'parse'") == "ok    a: growths 3, limit 9");
  CHECK(verdict("growths", "max = 9\nfunction = 'parse'\nentry = 'handler'") == "ok    a: growths 0, limit 9");
  CHECK(verdict("growths_per_goroutine", "max = 9\nfunction = 'parse'") == "ok    a: growths_per_goroutine 2, limit 9");
  CHECK(verdict("largest_stack", "max = '1M'\nfunction = 'render'") ==
        "ok    a: largest_stack 6 KiB (6144 bytes), limit 1 MiB (1048576 bytes)");
  CHECK(verdict("bytes_copied", "max = '1M'\nfunction = 'parse'") ==
        "ok    a: bytes_copied 3.9 KiB (4000 bytes), limit 1 MiB (1048576 bytes)");
  CHECK(verdict("high_water", "max = '1M'\nentry = 'handler'") ==
        "ok    a: high_water 1.6 KiB (1600 bytes), limit 1 MiB (1048576 bytes)");
  CHECK(verdict("live_at_exit", "max = 9\nentry = 'worker'") == "ok    a: live_at_exit 1, limit 9");
  CHECK(verdict("live_at_exit", "max = 9\nfunction = 'take'") == "ok    a: live_at_exit 1, limit 9");
  // A function that the trace knows, though nothing waits in it.
  CHECK(verdict("live_at_exit", "max = 9\nfunction = 'render'") == "ok    a: live_at_exit 0, limit 9");
}

TEST_CASE_FIXTURE(Traces, "a filter that matches nothing is an error where it stands, unless the rule is optional") {
  CHECK(check("[[rule]]\nname = 'a'\nmetric = 'growths'\nmax = 1\nentry = 'wroker'\nfunction = 'prase'\n"
              "[[rule]]\nname = 'b'\nmetric = 'growths'\nmax = 1\nentry = 'worker'\nlabel = 'conn'\n"
              "[[rule]]\nname = 'c'\nmetric = 'growths'\nmax = 1\nlabel = '^7'\n") ==
        "r.toml:5:9: rule 'a' matches nothing: no goroutine's entry function matches 'wroker' in t.stt (optional = true "
        "allows "
        "that)\n"
        "r.toml:6:12: rule 'a' matches nothing: no function matches 'prase' in t.stt (optional = true allows that)\n"
        "r.toml:12:9: rule 'b' matches nothing: no goroutine matches both entry and label in t.stt (optional = true allows "
        "that)\n"
        "r.toml:17:9: rule 'c' matches nothing: no goroutine's label matches '^7' in t.stt (optional = true allows that)\n");
  CHECK(exit_code == 2);
  CHECK(check("[[rule]]\nname = 'a'\nmetric = 'growths'\nmax = 1\nentry = 'wroker'\noptional = true\n") ==
        "ok    a: growths: nothing matches, which is allowed\n1 rule on t.stt: 1 holds\n");
  CHECK(exit_code == 0);
}

TEST_CASE_FIXTURE(Traces, "tolerances are against the baseline") {
  CHECK(verdict("growths", "tolerance = '20%'", true) == "ok    a: growths 6, limit 6 (the baseline's 5 and 20%)");
  CHECK(verdict("growths", "tolerance = '19%'", true) == "FAIL  a: growths 6, limit 5 (the baseline's 5 and 19%)");
  CHECK(verdict("growths", "tolerance = 1", true) == "ok    a: growths 6, limit 6 (the baseline's 5 and 1)");
  CHECK(
      verdict("bytes_copied", "tolerance = '1K'", true) ==
      "FAIL  a: bytes_copied 3.9 KiB (4000 bytes), limit 3.4 KiB (3524 bytes) (the baseline's 2.4 KiB (2500 bytes) and 1K)");
  // Both have to hold.
  CHECK(verdict("growths", "max = 5\ntolerance = 9", true) == "FAIL  a: growths 6, limit 5 (the baseline has 5)");
  CHECK(verdict("growths", "max = 50\ntolerance = 0", true) == "FAIL  a: growths 6, limit 5 (the baseline's 5 and 0)");
  // The baseline has no goroutine left at all.
  CHECK(verdict("live_at_exit", "tolerance = '50%'", true) == "FAIL  a: live_at_exit 2, limit 0 (the baseline's 0 and 50%)");
  CHECK(verdict("growths", "max = 1\ntolerance = 0") ==
        "r.toml:5:13: rule 'a' has a tolerance, and there is no baseline: give an older trace with --baseline FILE");
  CHECK(exit_code == 2);
}

TEST_CASE_FIXTURE(Traces, "each failure says who is to blame, and where") {
  const auto all = [](std::string_view metric, std::string_view max) {
    return fmt::format("[[rule]]\nname = '{0}'\nmetric = '{0}'\nmax = {1}\n", metric, max);
  };
  CHECK(check(all("largest_stack", "4096") + all("high_water", "1500") + all("growths_per_goroutine", "1") +
              all("growths", "0") + all("bytes_copied", "0") + all("growth_time_share", "1") +
              all("longest_growth", "'1us'") + all("hot_splits", "0") + all("thrash", "0") + all("live_at_exit", "0")) ==
        R"(FAIL  largest_stack: largest_stack 8 KiB (8192 bytes), limit 4 KiB (4096 bytes)
      a stack of 8 KiB (8192 bytes): goroutine 3 of worker, in parse (parse.cpp:20), called from worker (worker.cpp:15)
      a stack of 6 KiB (6144 bytes): goroutine 4 of handler, in render (render.cpp:7), called from handler (handler.cpp:44)
FAIL  high_water: high_water 4.9 KiB (5000 bytes), limit 1.5 KiB (1500 bytes)
      4.9 KiB (5000 bytes) used: goroutine 3 of worker, in take (queue.cpp:30)
      1.6 KiB (1600 bytes) used: goroutine 4 of handler, in render (render.cpp:7), called from handler (handler.cpp:44)
FAIL  growths_per_goroutine: growths_per_goroutine 3, limit 1
      3 growths: goroutine 4 of handler, in render (render.cpp:7), called from handler (handler.cpp:44)
      2 growths: goroutine 2 of worker, in parse (parse.cpp:20), called from worker (worker.cpp:15)
FAIL  growths: growths 6, limit 0
      3 growths in render (render.cpp:7), called from handler (handler.cpp:44): goroutine 4 of handler
      3 growths in parse (parse.cpp:20), called from worker (worker.cpp:15): goroutines 2, 3 of worker
FAIL  bytes_copied: bytes_copied 3.9 KiB (4000 bytes), limit 0 bytes
      3.9 KiB (4000 bytes) copied in parse (parse.cpp:20), called from worker (worker.cpp:15): goroutines 2, 3 of worker
FAIL  growth_time_share: growth_time_share 3.9%, limit 1%
      3.3% of the run in parse (parse.cpp:20), called from worker (worker.cpp:15): goroutines 3, 2 of worker
      0.6% of the run in render (render.cpp:7), called from handler (handler.cpp:44): goroutine 4 of handler
FAIL  longest_growth: longest_growth 2.0 us (2000 ns), limit 1.0 us (1000 ns)
      2.0 us (2000 ns) for one event: goroutine 3 of worker, in parse (parse.cpp:20), called from worker (worker.cpp:15)
FAIL  hot_splits: hot_splits 2, limit 0
      2 hot splits in render (render.cpp:7), called from handler (handler.cpp:44): goroutine 4 of handler
FAIL  thrash: thrash 1, limit 0
      1 growth after a shrink in parse (parse.cpp:20), called from worker (worker.cpp:15): goroutine 2 of worker
FAIL  live_at_exit: live_at_exit 2, limit 0
      1 goroutine of handler is in a library call, created in main at main.cpp:5: goroutine 4
      1 goroutine of worker waits in take at queue.cpp:30 (chan receive), created in main at main.cpp:5: goroutine 3
10 rules on t.stt: 0 hold, 10 fail
)");
  CHECK(exit_code == 1);
}

TEST_CASE_FIXTURE(Traces, "against a baseline those come first that grew most, and warnings do not fail") {
  CHECK(check("[[rule]]\nname = 'a'\nmetric = 'growths'\ntolerance = 0\nlevel = 'warning'\n", true) ==
        R"(warn  a: growths 6, limit 5 (the baseline's 5 and 0)
      3 growths in parse (parse.cpp:20), called from worker (worker.cpp:15): goroutines 2, 3 of worker; 2 in the baseline
      3 growths in render (render.cpp:7), called from handler (handler.cpp:44): goroutine 4 of handler; 3 in the baseline
1 rule on t.stt: 0 hold, 1 warning
)");
  CHECK(exit_code == 0);
  CHECK(check("[[rule]]\nname = 'a'\nmetric = 'live_at_exit'\ntolerance = 0\n", true, 1) ==
        R"(FAIL  a: live_at_exit 2, limit 0 (the baseline's 0 and 0)
      1 goroutine of handler is in a library call, created in main at main.cpp:5: goroutine 4; none in the baseline
      and 1 more (--top)
1 rule on t.stt: 0 hold, 1 fails
)");
}

TEST_CASE("many goroutines: the first few are named, by what they contributed") {
  const TempDir folder;
  {
    TraceWriter trace(folder / "t.stt");
    trace.symbol(0x2000, true, "worker", "/src/worker.cpp", 10);
    trace.symbol(0x2100, false, "parse", "/src/lib/parse.cpp", 20);
    trace.chain(1, {0x2100});
    for (std::uint64_t id = 1; id <= 20'000; ++id) {
      trace.spawn(static_cast<std::int64_t>(id), id, 0, 0x2000);
      trace.stack(STACKTIDE_TRACE_GROW, static_cast<std::int64_t>(id), id, 1, 2048, 4096, 1000, 1);
    }
    trace.stack(STACKTIDE_TRACE_GROW, 20'000, 777, 1, 4096, 8192, 1000, 1);
    for (std::uint64_t id = 1; id <= 20'000; ++id) trace.exit(20'000, {}, id);
    trace.text(STACKTIDE_TRACE_END, 20'001, 0, 0, "exit");
  }
  const auto rules = parse_rules("[[rule]]\nname = 'a'\nmetric = 'growths'\nmax = 0\n", "r.toml");
  const auto recording = *Recording::open(folder / "t.stt");
  RecordingSource source(recording);
  const auto report = check(*rules, source, nullptr, {});
  REQUIRE(report);
  REQUIRE(report->results[0].culprits.size() == 1);
  CHECK(culprit_text(report->results[0], report->results[0].culprits[0]) ==
        "20,001 growths in parse (parse.cpp:20): goroutines 777, 1, 2, 3, 4 and 19,995 more of worker");
}

TEST_CASE("a trace without an end counts goroutines without an exit, and is incomplete") {
  const TempDir folder;
  {
    TraceWriter trace(folder / "t.stt");
    trace.header.lost = 3;
    trace.symbol(0x2000, true, "worker", "/src/worker.cpp", 10);
    trace.spawn(1, 1, 0, 0x2000, 0, 2048, STACKTIDE_TRACE_MAIN);
    trace.spawn(2, 2, 1, 0x2000);
    trace.spawn(3, 3, 1, 0x2000);
    trace.exit(4, {}, 2);
  }
  const auto recording = *Recording::open(folder / "t.stt");
  RecordingSource source(recording);
  const auto judge = [&](int max) {
    const auto rules = parse_rules(fmt::format("[[rule]]\nname = 'a'\nmetric = 'live_at_exit'\nmax = {}\n", max), "r.toml");
    return *check(*rules, source, nullptr, {});
  };
  CHECK(check_text(judge(1), {}) == "ok    a: live_at_exit 1, limit 1\n1 rule on " + (folder / "t.stt") +
                                        ": 1 holds\n"
                                        "note: live_at_exit counts goroutines without an exit, since the trace has no end\n"
                                        "incomplete: 3 records are lost: there was no room for them\n"
                                        "incomplete: the trace has no end: the program was killed, or still runs\n");
  CHECK(judge(1).exit_code() == 3);
  CHECK(judge(0).exit_code() == 1);
}

TEST_CASE("a deadlock names all that wait, the main goroutine too") {
  const TempDir folder;
  {
    TraceWriter trace(folder / "t.stt");
    trace.symbol(0x2000, true, "worker", "/src/worker.cpp", 10);
    trace.symbol(0x4000, false, "take", "/src/queue.cpp", 30);
    trace.chain(1, {0x4000});
    trace.text(STACKTIDE_TRACE_NAME, 0, 0, 1, "chan receive");
    trace.spawn(1, 1, 0, 0x2000, 0, 2048, STACKTIDE_TRACE_MAIN);
    trace.park(2, 1, 1, 1);
    stacktide_trace_goroutine waiting{};
    waiting.wait_reason = 1;
    waiting.since = 2;
    trace.live(3, waiting, 1);
    trace.text(STACKTIDE_TRACE_END, 4, 0, 0, "deadlock");
  }
  const auto recording = *Recording::open(folder / "t.stt");
  RecordingSource source(recording);
  const auto rules = parse_rules("[[rule]]\nname = 'a'\nmetric = 'deadlock'\nmax = 0\n", "r.toml");
  CHECK(check_text(*check(*rules, source, nullptr, {}), {}) ==
        "FAIL  a: deadlock 1, limit 0\n"
        "      1 goroutine of worker waits in take at queue.cpp:30 (chan receive): goroutine 1\n"
        "1 rule on " +
            (folder / "t.stt") + ": 0 hold, 1 fails\n");
}

namespace {

// What a debugger has of a live program: growth, and no more.
class Rings : public RecordingSource {
 public:
  using RecordingSource::RecordingSource;
  std::string lacks(TracePart part) const override {
    return part == TracePart::growth ? "" : "the event rings say what stacks did, and no more";
  }
};

}  // namespace

TEST_CASE_FIXTURE(Traces, "a source is not asked what it cannot tell") {
  const auto recording = *Recording::open(folder / "t.stt");
  Rings rings(recording);
  const auto rules = parse_rules(
      "[[rule]]\nname = 'a'\nmetric = 'growths'\nmax = 9\n[[rule]]\nname = 'b'\nmetric = 'live_at_exit'\nmax = 0\n"
      "[[rule]]\nname = 'c'\nmetric = 'growths'\nmax = 9\nentry = 'worker'\n",
      "r.toml");
  const auto report = stacktide::check(*rules, rings, nullptr, {});
  REQUIRE_FALSE(report);
  CHECK(report.error() == std::vector<std::string>{"r.toml:7:10: rule 'b': no live_at_exit of " + (folder / "t.stt") +
                                                       ": the event rings say what stacks did, and no more",
                                                   "r.toml:13:9: rule 'c': no entry functions of " + (folder / "t.stt") +
                                                       ": the event rings say what stacks did, and no more"});
}
