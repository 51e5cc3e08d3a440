// `stacktide record` and STACKTIDE_TRACE on real programs: what is in the file is what the program, its runtime and the
// debugger's history say of the same run; and what is left when the program is killed, forks, or fills its disk.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "support/process.h"
#include "trace/recorded_names.h"
#include "trace/recording.h"
#include "trace/totals.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

struct Trace {
  Recording recording;
  TraceTotals totals;
  const RecordingInfo& info() const { return recording.info(); }
  std::uint64_t count(std::uint8_t kind) const { return totals.records(kind); }
};

Trace open_trace(const std::string& file) {
  auto recording = Recording::open(file);
  REQUIRE_MESSAGE(recording.has_value(), describe(recording.error()));
  Trace trace{std::move(*recording), {}};
  trace.recording.visit([&](const TraceRecord& record) { trace.totals.add(*record.head); });
  CHECK(fmt::format("{}", fmt::join(trace.info().damage, "\n")) == "");
  return trace;
}

Output record(const std::string& file, std::vector<std::string> program, std::vector<std::string> options = {},
              std::vector<std::string> env = {}) {
  std::vector<std::string> words = {cli_program(), "record", "-o", file};
  words.insert(words.end(), options.begin(), options.end());
  words.emplace_back("--");
  words.insert(words.end(), program.begin(), program.end());
  return run(words, kTimeout, {.env = std::move(env), .folder = {}, .core = false});
}

// "the runtime counted 5 grows, 0 links, 5 shrinks"
struct Counted {
  std::uint64_t grows = 0;
  std::uint64_t links = 0;
  std::uint64_t shrinks = 0;
};
Counted counted(const std::string& printed) {
  std::smatch match;
  REQUIRE_MESSAGE(std::regex_search(printed, match, std::regex(R"(counted (\d+) grows, (\d+) links, (\d+) shrinks)")),
                  printed);
  return {std::stoull(match[1]), std::stoull(match[2]), std::stoull(match[3])};
}

}  // namespace

TEST_CASE("totals are the program's, the runtime's and the history's, for the same run") {
  for (const std::string policy : {"auto", "segmented"}) {
    CAPTURE(policy);
    const TempDir folder;
    const auto file = folder / "t.stt";
    auto child = Child::start({test_program("trace_load_O2"), "3000", "idle"},
                              {.env = {"STACKTIDE_TRACE=" + file, "STACKTIDE_POLICY=" + policy, "STACKTIDE_SHRINK=off",
                                       "STACKTIDE_MAXPROCS=4", "STACKTIDE_EVENTS=64K"},
                               .folder = {},
                               .core = false});
    child.wait_for_line("in ");
    const auto program = counted(child.output());
    // All its goroutines but main have ended or are about to: what they wait for is their end.
    const auto history = nlohmann::json::parse(cli_output({"history", "--json"}, {"--pid", std::to_string(child.pid())}));
    std::map<std::string, std::uint64_t> kinds;
    for (const auto& event : history.at("events")) ++kinds[event.at("kind")];
    child.close_stdin();
    CHECK(child.wait() == 0);
    const auto trace = open_trace(file);
    const auto& all = trace.totals.all();
    CHECK(all.grows == program.grows);
    CHECK(all.links == program.links);
    CHECK(all.shrinks == program.shrinks);
    CHECK(all.grows == kinds["grow"]);
    CHECK(all.links == kinds["link"]);
    CHECK(all.releases == kinds["release"]);
    CHECK(all.shrinks == kinds["shrink"]);
    CHECK((policy == "auto" ? all.grows : all.links) >= 3000);
    CHECK(fmt::format("{}", fmt::join(trace.totals.check_counters(10), "\n")) == "");
    CHECK(trace.totals.spawned() == trace.totals.exited());
    CHECK(trace.info().header.lost == 0);
    CHECK(trace.info().end == "exit");
    // Every goroutine has its counters: what was compared above is all of them.
    CHECK(
        std::ranges::all_of(trace.totals.goroutines(), [](const auto& entry) { return entry.second.counters.has_value(); }));
  }
}

TEST_CASE("a growth's chain begins in the function that needed room; names outlive the executable") {
  const TempDir folder;
  const auto file = folder / "t.stt";
  const auto copy = folder / "program";
  std::filesystem::copy_file(sample_program("grow"), copy);
  const auto output = record(file, {copy, "300"});
  CHECK(output.exit_code == 0);
  CHECK(output.err == fmt::format("stacktide: {0}: 35 records, 256 KiB; stacktide trace summary {0}\n", file));
  std::filesystem::remove(copy);
  const auto trace = open_trace(file);
  CHECK(trace.info().command == copy + " 300");
  CHECK(trace.info().status == 0);
  CHECK(trace.totals.all().grows == counted(output.out).grows);
  RecordedNames names(trace.recording);
  std::set<std::string> needed;
  std::set<std::string> callers;
  trace.recording.visit([&](const TraceRecord& record) {
    if (record.kind() != STACKTIDE_TRACE_GROW) return;
    needed.insert(names.needed_room(record.head->number).function);
    callers.insert(names.caller(record.head->number).function);
  });
  CHECK(fmt::format("{}", fmt::join(needed, ", ")) == "(anonymous namespace)::recurse");
  CHECK(fmt::format("{}", fmt::join(callers, ", ")) == "(anonymous namespace)::recurse");
  CHECK(names.warnings().empty());
  const auto& main = trace.totals.goroutines().at(1);
  CHECK(main.main);
  CHECK(main.growth.largest == 65536);
  CHECK(names.entry(main.entry).function == "main::{lambda()#1}::operator()");
}

TEST_CASE("kill -9 in mid-run: the file is whole up to the last record, and says that it has no end") {
  const TempDir folder;
  const auto file = folder / "t.stt";
  auto child = Child::start({cli_program(), "record", "-o", file, "--", test_program("record_load_O2"), "busy", "5000"},
                            {.env = {"STACKTIDE_MAXPROCS=2", "STACKTIDE_SHRINK=off"}, .folder = {}, .core = false});
  child.wait_for_line("ready");
  // The file says who writes it.
  const auto pid = static_cast<pid_t>(Recording::open(file)->info().header.pid);
  REQUIRE(pid > 1);
  REQUIRE(kill(pid, SIGKILL) == 0);
  CHECK(child.wait() == 128 + SIGKILL);
  CHECK(child.output().find("record_load_O2 was ended by signal 9 (Killed)") != std::string::npos);
  const auto trace = open_trace(file);
  CHECK(trace.info().end.empty());
  CHECK(trace.info().status == SIGKILL);
  // "ready" came after 5,001 goroutines, of five growths each.
  CHECK(trace.totals.exited() >= 5000);
  CHECK(trace.totals.all().grows >= 25'000);
  CHECK(fmt::format("{}", fmt::join(trace.totals.check_counters(10), "\n")) == "");
  const auto summary = run({cli_program(), "trace", "summary", file});
  CHECK(summary.out.find("no end") != std::string::npos);
}

TEST_CASE("goroutines that are left when main returns, and in a deadlock, are in the file with what they wait for") {
  struct Case {
    const char* what;
    int exit_code;
    const char* end;
    std::uint64_t live;
  };
  for (const auto& test : {Case{"leak", 0, "exit", 5}, Case{"deadlock", 128 + SIGABRT, "deadlock", 6}}) {
    CAPTURE(test.what);
    const TempDir folder;
    const auto file = folder / "t.stt";
    const auto output = record(file, {test_program("record_load_O2"), test.what, "5"}, {}, {"STACKTIDE_MAXPROCS=2"});
    CHECK(output.exit_code == test.exit_code);
    const auto trace = open_trace(file);
    CHECK(trace.info().end == test.end);
    CHECK(trace.count(STACKTIDE_TRACE_LIVE) == test.live);
    RecordedNames names(trace.recording);
    for (const auto& [id, goroutine] : trace.totals.goroutines()) {
      CAPTURE(id);
      if (!goroutine.live) continue;
      CHECK(goroutine.waiting);
      CHECK(names.wait_reason(goroutine.wait_reason) == "chan receive");
      CHECK(names.user_place(goroutine.parked_at).function.starts_with("waiter"));
      CHECK(goroutine.counters->status == 4);
    }
  }
}

TEST_CASE("how a program ends: by its own words, or by the signal") {
  const TempDir folder;
  const auto file = folder / "t.stt";
  CHECK(record(file, {test_program("trace_load_O2"), "100", "abort"}).exit_code == 128 + SIGABRT);
  CHECK(open_trace(file).info().end == "signal 6");
  CHECK(record(file, {test_program("trace_load_O2"), "100", "exit"}).exit_code == 0);
  CHECK(open_trace(file).info().end == "exit");
  CHECK(record(file, {test_program("rt_fatal_O2"), "close_nil"}).exit_code == 128 + SIGABRT);
  CHECK(open_trace(file).info().end == "close of nil channel");
  CHECK(record(file, {test_program("rt_fatal_O2"), "stack_limit"}, {}, {"STACKTIDE_MAXSTACK=64K"}).exit_code ==
        128 + SIGABRT);
  CHECK(open_trace(file).info().end == "stack overflow");
}

TEST_CASE("a child that the program forks does not write into its parent's file") {
  const TempDir folder;
  const auto file = folder / "t.stt";
  CHECK(record(file, {test_program("record_load_O2"), "fork", "7"}).exit_code == 0);
  const auto trace = open_trace(file);
  CHECK(trace.totals.spawned() == 8);
  CHECK(trace.totals.exited() == 8);
  CHECK(trace.info().end == "exit");
}

TEST_CASE("beyond its limit the file takes no more, and what is lost is counted") {
  const TempDir folder;
  const auto whole = folder / "whole.stt";
  const auto cut = folder / "cut.stt";
  // One P: every run does the same.
  const std::vector<std::string> env = {"STACKTIDE_MAXPROCS=1"};
  const std::vector<std::string> program = {test_program("record_load_O2"), "spawns", "50000"};
  CHECK(record(whole, program, {}, env).exit_code == 0);
  const auto output = record(cut, program, {"--limit", "4M"}, env);
  CHECK(output.exit_code == 0);
  CHECK(std::filesystem::file_size(cut) <= (4U << 20) + 65536);  // and the symbols
  const auto all = open_trace(whole);
  const auto some = open_trace(cut);
  CHECK(all.info().header.lost == 0);
  CHECK(some.info().header.lost > 0);
  CHECK(output.err.find(fmt::format("{} records were lost for want of room: a full disk, or --limit",
                                    some.info().header.lost)) != std::string::npos);
}

TEST_CASE("no file is written by two processes, and none that is no trace") {
  const TempDir folder;
  const auto file = folder / "t.stt";
  auto first = Child::start({test_program("record_load_O2"), "hang", "3"},
                            {.env = {"STACKTIDE_TRACE=" + file}, .folder = {}, .core = false});
  first.wait_for_line("ready");
  const auto second = run({test_program("record_load_O2"), "spawns", "3"}, kTimeout,
                          {.env = {"STACKTIDE_TRACE=" + file}, .folder = {}, .core = false});
  CHECK(second.exit_code == 0);
  CHECK(std::regex_match(second.err, std::regex("stacktide: " + file +
                                                " is being written by another process: this one, \\d+, is not recorded "
                                                "\\(STACKTIDE_TRACE=FILE.%p makes a file for each\\)\n")));
  first.close_stdin();
  CHECK(first.wait() == 0);
  CHECK(open_trace(file).totals.spawned() == 4);

  const auto text = folder / "notes.txt";
  std::ofstream(text) << "not to be lost\n";
  const auto refused = run({test_program("record_load_O2"), "spawns", "3"}, kTimeout,
                           {.env = {"STACKTIDE_TRACE=" + text}, .folder = {}, .core = false});
  CHECK(refused.exit_code == 128 + SIGABRT);
  CHECK(refused.err.starts_with(fmt::format("fatal error: STACKTIDE_TRACE={}: is no trace, and is not overwritten", text)));
  const auto asked = record(text, {test_program("record_load_O2"), "spawns", "3"});
  CHECK(asked.exit_code == 2);
  CHECK(asked.err ==
        fmt::format("stacktide: record: {} is no trace, and is not overwritten: name another file with -o\n", text));
  CHECK(std::filesystem::file_size(text) == 15);
}

TEST_CASE("record's own errors are one line, and say what to do") {
  const TempDir folder;
  const auto file = folder / "t.stt";
  const auto fails = [&](const std::vector<std::string>& words, const std::string& text) {
    std::vector<std::string> command = {cli_program(), "record"};
    command.insert(command.end(), words.begin(), words.end());
    const auto output = run(command);
    CHECK(output.exit_code == 2);
    CHECK(output.err == "stacktide: " + text + "\n");
  };
  fails({}, "record: which program? stacktide record -o t.stt -- PROGRAM ARGUMENTS");
  fails({"-o", file, "--", "/nosuch"}, "record: /nosuch cannot be started: No such file or directory");
  fails({"-o", folder / "no/t.stt", "true"}, fmt::format("record: there is no folder {}: make it first", folder / "no"));
  fails({"--full=maybe", "true"}, "record: --full is wait or drop, not 'maybe'");
  fails({"--limit=10", "true"}, "record: --limit wants a size from 1M, such as 500M, not '10'");
  fails({"--frob", "true"}, "record: no option --frob (see stacktide record --help)");
  fails({"-o", file, "true"},
        "true recorded nothing: it did not come to run(), or is not built with stacktide_goroutines()");
  CHECK(run({cli_program(), "record", "-o", file, "sh", "-c", "exit 7"}).exit_code == 7);
}

TEST_CASE("%p makes a file for each process") {
  const TempDir folder;
  const auto program = test_program("record_load_O2");
  const auto output = record(folder / "t.%p.stt", {"sh", "-c", program + " spawns 3; " + program + " spawns 4"});
  CHECK(output.exit_code == 0);
  std::set<std::uint64_t> spawned;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    const auto trace = open_trace(entry.path());
    spawned.insert(trace.totals.spawned());
    CHECK(entry.path().filename().string() == fmt::format("t.{}.stt", trace.info().header.pid));
    CHECK(!trace.info().status.has_value());  // only the shell's is known
  }
  CHECK(spawned == std::set<std::uint64_t>{4, 5});
}

TEST_CASE("labels, and where goroutines were created") {
  const TempDir folder;
  const auto file = folder / "t.stt";
  CHECK(record(file, {test_program("record_load_O2"), "text", "3"}).exit_code == 0);
  CHECK(open_trace(file).totals.goroutines().at(1).label == "label 2");
  CHECK(record(file, {test_program("record_load_O2"), "leak", "1"}).exit_code == 0);
  const auto trace = open_trace(file);
  RecordedNames names(trace.recording);
  const auto& child = trace.totals.goroutines().at(2);
  CHECK(child.parent == 1);
  CHECK(names.user_place(child.created_at).function.starts_with("leave_waiting"));
}

TEST_CASE("dropping instead of waiting: what is not in the file is counted, and the rest is whole") {
  const TempDir folder;
  const auto file = folder / "t.stt";
  CHECK(record(file, {test_program("record_load_O2"), "waits", "200000"}, {"--full", "drop"}, {"STACKTIDE_MAXPROCS=2"})
            .exit_code == 0);
  const auto trace = open_trace(file);
  CHECK(trace.info().header.waits == 0);
  // 200,000 values there and back: 400,000 waits of two goroutines, give or take those that find a value.
  CHECK(trace.count(STACKTIDE_TRACE_PARK) + trace.info().header.lost > 300'000);
}
