// `stacktide trace summary`, show and export, by the real program on a small trace: exact text, and each format by its
// rules. Most of its lines are expected texts, which stand in full.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "support/process.h"
#include "support/sample_trace.h"

using namespace stacktide::test;
using Json = nlohmann::json;

namespace {

// In a folder of its own, where the trace is "t.stt".
struct Sample {
  Sample() { write_sample_trace(folder / "t.stt"); }
  Output trace(std::vector<std::string> words) const {
    words.insert(words.begin(), {cli_program(), "trace"});
    return run(words, kTimeout, {.env = {}, .folder = folder.path()});
  }
  std::string out(const std::vector<std::string>& words) const {
    const auto output = trace(words);
    CHECK(output.err == "");
    CHECK(output.exit_code == 0);
    return output.out;
  }
  std::string err(const std::vector<std::string>& words) const {
    const auto output = trace(words);
    CHECK(output.out == "");
    CHECK(output.exit_code == 2);
    return output.err;
  }
  TempDir folder;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

constexpr std::string_view kTimeline =
    R"(    0.000000  goroutine 1 begins, entry main
    0.000100  goroutine 2 is created by goroutine 1, in main (main.cpp:50), entry work
    0.000200  goroutine 3 is created by goroutine 1, in main (main.cpp:50), entry work
    0.000300  goroutine 4 is created by goroutine 1, in main (main.cpp:50), entry loop
    0.000350  goroutine 3 is now "third"
    0.000400  goroutine 2 grew 2048 -> 4096 bytes, used 1500, in deep (deep.cpp:10), called from inlined (work.cpp:18), took 900 ns
    0.000500  goroutine 3 grew 2048 -> 8192 bytes, used 1600, in deep (deep.cpp:10), called from inlined (work.cpp:18), took 1.2 us
    0.000600  goroutine 2 waits: chan receive, in work (work.cpp:22)
    0.000700  goroutine 2 shrank 4096 -> 2048 bytes, used 400, took 300 ns
    0.000800  goroutine 2 is ready, by goroutine 3
    0.000900  goroutine 2 grew 2048 -> 4096 bytes, used 1500, in deep (deep.cpp:10), called from inlined (work.cpp:18), took 800 ns
    0.001000  goroutine 4 linked a segment of 8192 bytes, used 7000, in split (split.cpp:7), called from loop (split.cpp:30), took 500 ns
    0.001100  goroutine 4 released a segment of 8192 bytes
    0.001200  goroutine 4 linked a segment of 8192 bytes, used 7000, a hot split, in split (split.cpp:7), called from loop (split.cpp:30)
    0.001300  goroutine 4 released a segment of 8192 bytes
    0.001400  goroutine 2 ends, with 4096 bytes of stack, used at most 1500
    0.001500  goroutine 3 ends, with 8192 bytes of stack, used at most 1600
    0.001600  goroutine 4 waits: sleep, in work (work.cpp:22)
    0.002900  goroutine 4 is there at the end, waits since 0.001600: sleep, in work (work.cpp:22)
)";

// Those lines of kTimeline, counted from 0, and what follows.
std::string timeline(const std::vector<std::size_t>& numbers, const std::string& more = "") {
  const auto all = lines_of(std::string(kTimeline));
  std::string text;
  for (const auto number : numbers) text += all.at(number) + "\n";
  return text + more;
}

// What of a file breaks the rules of the Trace Event Format; "" when nothing does.
std::string broken_rule(const Json& file) {
  if (!file.is_object() || !file.contains("traceEvents") || !file["traceEvents"].is_array()) return "no traceEvents";
  std::set<std::uint64_t> named;
  std::map<std::string, double> counters;                                  // last time by name
  std::map<std::uint64_t, std::vector<std::pair<double, double>>> slices;  // by track
  for (const auto& event : file["traceEvents"]) {
    const auto wrong = [&](const char* rule) { return fmt::format("{}: {}", rule, event.dump()); };
    for (const auto* key : {"ph", "name", "pid", "tid", "ts"}) {
      if (!event.contains(key)) return wrong(key);
    }
    if (!event["ph"].is_string() || !event["name"].is_string()) return wrong("ph and name are texts");
    if (!event["ts"].is_number() || event["ts"] < 0) return wrong("ts is a number of microseconds");
    if (!event["pid"].is_number_unsigned() || !event["tid"].is_number_unsigned()) return wrong("pid and tid are numbers");
    if (!event.contains("args") || !event["args"].is_object()) return wrong("args is an object");
    const auto phase = event["ph"].get<std::string>();
    const auto track = event["tid"].get<std::uint64_t>();
    if (phase == "M") {
      if (event["name"] != "process_name" && event["name"] != "thread_name") return wrong("metadata of a known name");
      if (!event["args"].contains("name") || !event["args"]["name"].is_string()) return wrong("metadata gives a name");
      if (event["name"] == "thread_name") named.insert(track);
    } else if (phase == "X") {
      if (!event.contains("dur") || !event["dur"].is_number() || event["dur"] < 0) return wrong("a slice has a duration");
      slices[track].emplace_back(event["ts"].get<double>(), event["ts"].get<double>() + event["dur"].get<double>());
    } else if (phase == "i") {
      if (!event.contains("s") || (event["s"] != "t" && event["s"] != "p" && event["s"] != "g"))
        return wrong("an instant has a scope");
    } else if (phase == "C") {
      if (event["args"].empty()) return wrong("a counter has a value");
      for (const auto& [key, value] : event["args"].items()) {
        if (!value.is_number()) return wrong("counters are numbers");
      }
      auto& last = counters.try_emplace(event["name"].get<std::string>(), 0).first->second;
      if (event["ts"] < last) return wrong("a counter goes forwards in time");
      last = event["ts"].get<double>();
    } else {
      return wrong("a phase that is used here");
    }
    if (phase != "M" && !named.contains(track)) return wrong("its track has a name");
  }
  for (auto& [track, all] : slices) {
    std::ranges::sort(all);
    for (std::size_t i = 1; i < all.size(); ++i) {
      if (all[i].first < all[i - 1].second) return fmt::format("waits of goroutine {} overlap", track);
    }
  }
  return "";
}

}  // namespace

TEST_CASE("the summary tells what the recording is, and sums by entry, function, goroutine and reason") {
  const Sample sample;
  CHECK(sample.out({"summary", "t.stt"}) ==
        R"(recording   t.stt: 29 records in 12 KiB
program     ./program --fast (process 4711, policy auto, 2 Ps, stacks from 2 KiB to 1 GiB)
time        2023-11-14 22:13:20 UTC, for 3.0 ms
end         exit, status 0
lost        nothing
goroutines  4 created, 2 ended, 2 still there
growth      3 grows, 1 shrink (1 of the grows: thrash), 2 links (1 hot split), 2 releases; 4.9 KiB copied, 3.7 us
longest     1.2 us, in goroutine 3 at 0.000500
largest     a stack of 16 KiB
counters    the runtime's own are the same, for 3 goroutines

goroutines  live  grows  shrinks  thrash  links  hot   copied    took  longest  largest  high-water  entry function
         2     0      3        1       1      0    0  4.9 KiB  3.2 us   1.2 us    8 KiB     1.6 KiB  work (work.cpp:15)
         1     1      0        0       0      2    1  0 bytes  500 ns   500 ns   16 KiB     6.8 KiB  loop (split.cpp:28)
         1     1      0        0       0      0    0  0 bytes    0 ns     0 ns    2 KiB           ?  main (main.cpp:48)

grows  shrinks  thrash  links  hot   copied    took  longest  largest  function that needed room  called from
    3        1       1      0    0  4.9 KiB  3.2 us   1.2 us    8 KiB  deep (deep.cpp:10)         inlined (work.cpp:18)
    0        0       0      2    1  0 bytes  500 ns   500 ns   16 KiB  split (split.cpp:7)        loop (split.cpp:30)

goroutine  grows  shrinks  thrash  links  hot   copied    took  longest  largest  first  high-water  entry function
        2      2        1       1      0    0  3.3 KiB  2.0 us   900 ns    4 KiB  2 KiB     1.5 KiB  work
        3      1        0       0      0    0  1.6 KiB  1.2 us   1.2 us    8 KiB  2 KiB     1.6 KiB  work "third"
        4      0        0       0      2    1  0 bytes  500 ns   500 ns   16 KiB  8 KiB     6.8 KiB  loop

waits  not ended  together   longest  reason
    1          0  200.0 us  200.0 us  chan receive
    1          1      0 ns      0 ns  sleep
)");
  const auto one = sample.out({"summary", "t.stt", "--limit", "1"});
  CHECK(one.find("work (work.cpp:15)\n2 more: --limit 0\n") != std::string::npos);
}

TEST_CASE("the summary as JSON has the same numbers") {
  const Sample sample;
  const auto json = Json::parse(sample.out({"summary", "t.stt", "--json"}));
  CHECK(json["schema"] == "stacktide-trace/1");
  CHECK(json["recording"]["command"] == "./program --fast");
  CHECK(json["recording"]["status"] == 0);
  CHECK(json["recording"]["damage"].empty());
  CHECK(json["goroutine_counts"] == Json{{"spawned", 4}, {"exited", 2}, {"live", 2}});
  CHECK(json["growth"]["bytes_copied"] == 5000);
  CHECK(json["growth"]["thrash"] == 1);
  CHECK(json["growth"]["longest"] == Json{{"nanoseconds", 1200}, {"time", 500'000}, {"goroutine", 3}});
  CHECK(json["counters"] == Json{{"compared", 3}, {"different", Json::array()}});
  CHECK(json["entries"].size() == 3);
  CHECK(json["entries"][0]["entry"] == Json{{"function", "work"}, {"file", "/src/work.cpp"}, {"line", 15}});
  CHECK(json["functions"][1]["caller"]["function"] == "loop");
  CHECK(json["functions"][1]["growth"]["hot_splits"] == 1);
  CHECK(json["goroutines"][1]["label"] == "third");
  CHECK(json["goroutines"][1]["exited"] == 1'500'000);
  CHECK(json["goroutines"][2]["wait_reason"] == "sleep");
  CHECK(json["waits"][0]["nanoseconds"] == 200'000);
}

TEST_CASE("show is a line per record, and a picture of sizes over time") {
  const Sample sample;
  CHECK(sample.out({"show", "t.stt"}) == std::string(kTimeline) + R"(
goroutine  events  smallest  largest   now  over 900.0 us
      all       8                           |@ @     @    @  @ @  @ @|
        4       4      8192    16384  8192  |                @@@++@@@|
        2       3      2048     4096  4096  |---------....-----------|
        3       1      2048     8192  8192  |  ++++++++++++++++++++++|
sizes from . 2K to @ 16K; all: events, few . to many @
)");
}

TEST_CASE("filters choose goroutines, entries, functions, kinds and times") {
  const Sample sample;
  CHECK(sample.out({"show", "t.stt", "--kind", "link"}) == timeline({11, 13}));  // no picture without releases
  const auto shown = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"show", "t.stt"});
    const auto text = sample.out(words);
    return text.substr(0, std::min(text.find("\n\n"), text.size() - 1) + 1);  // without a picture
  };
  CHECK(shown({"--goroutine", "3"}) == timeline({2, 4, 6, 16}));
  CHECK(shown({"--goroutine", "3", "--kind", "grow,exit"}) == timeline({6, 16}));
  CHECK(shown({"--entry", "^loop$", "--kind=park"}) == timeline({17}));
  CHECK(shown({"--function", "deep|take"}) == timeline({5, 6, 8, 10}));
  CHECK(shown({"--function", "work"}) == timeline({7, 17, 18}));
  CHECK(shown({"--from", "0.5ms", "--to", "700us"}) == timeline({6, 7, 8}));
  CHECK(shown({"--from", "2000us"}) == timeline({18}));
  CHECK(shown({"--to", "100ns"}) == timeline({0}));
  CHECK(shown({"--limit", "2"}) == timeline({0, 1}, "17 more: --limit 0\n"));
  CHECK(shown({"--goroutine", "99"}) == "no record meets the conditions\n");
}

TEST_CASE("JSON Lines have a head and an object per record, with the frames of its chain") {
  const Sample sample;
  const auto text = sample.out({"export", "t.stt", "--format", "jsonl"});
  CHECK(sample.out({"show", "t.stt", "--json=lines"}) == text);
  std::vector<Json> all;
  for (const auto& line : lines_of(text)) all.push_back(Json::parse(line));
  REQUIRE(all.size() == 20);
  CHECK(all[0]["schema"] == "stacktide-trace/1");
  CHECK(all[0]["recording"]["pid"] == 4711);
  CHECK(all[1]["entry"] == Json{{"function", "main"}, {"file", "/src/main.cpp"}, {"line", 48}});
  CHECK(all[1]["main"] == true);
  CHECK(all[5] == Json{{"time", 350'000}, {"kind", "label"}, {"goroutine", 3}, {"label", "third"}});
  const auto& grow = all[6];
  CHECK(grow["kind"] == "grow");
  CHECK(grow["time"] == 400'000);
  CHECK(grow["old_size"] == 2048);
  CHECK(grow["duration"] == 900);
  CHECK(grow["frames"].size() == 5);
  CHECK(grow["frames"][0] ==
        Json{{"pc", "0x1010"}, {"function", "small"}, {"file", "/src/deep.cpp"}, {"line", 5}, {"inlined", true}});
  CHECK(grow["frames"][1]["inlined"] == false);
  CHECK(all[12]["size"] == 16384);
  CHECK(all[14]["hot"] == true);
  CHECK(all[16]["bytes_copied"] == 3400);
  CHECK(all[18]["wait_reason"] == "sleep");
  CHECK(all[18]["frames"][2]["function"] == "work");
  CHECK(all[19]["since"] == 1'600'000);
  CHECK(lines_of(sample.out({"show", "t.stt", "--json", "--goroutine", "3"})).size() == 5);
}

TEST_CASE("the Perfetto file keeps the rules of the Trace Event Format") {
  const Sample sample;
  CHECK(sample.out({"export", "t.stt", "--format", "perfetto", "-o", "t.json"}) == "");
  const auto file = Json::parse(std::ifstream(sample.folder / "t.json"));
  CHECK(broken_rule(file) == "");
  std::map<std::uint64_t, std::string> tracks;
  std::vector<Json> slices;
  std::vector<std::uint64_t> sizes;
  std::size_t instants = 0;
  for (const auto& event : file["traceEvents"]) {
    if (event["name"] == "thread_name") tracks[event["tid"]] = event["args"]["name"];
    if (event["ph"] == "X") slices.push_back(event);
    if (event["name"] == "goroutine 4 stack") sizes.push_back(event["args"]["bytes"]);
    if (event["ph"] == "i" && event["cat"] == "stack") ++instants;
  }
  CHECK(tracks ==
        std::map<std::uint64_t, std::string>{
            {1, "goroutine 1 main"}, {2, "goroutine 2 work"}, {3, "goroutine 3 work \"third\""}, {4, "goroutine 4 loop"}});
  REQUIRE(slices.size() == 2);
  CHECK(slices[0]["name"] == "chan receive");
  CHECK(slices[0]["ts"] == 600.0);
  CHECK(slices[0]["dur"] == 200.0);
  CHECK(slices[0]["args"] == Json{{"at", "work (work.cpp:22)"}, {"ready_by", 3}});
  // It waits until the trace ends.
  CHECK(slices[1]["dur"] == 1400.0);
  CHECK(sizes == std::vector<std::uint64_t>{8192, 16384, 8192, 16384, 8192});
  CHECK(instants == 8);
}

TEST_CASE("pprof reads the profile: the whole chain with inlined levels, four values, the entry as a label") {
  const Sample sample;
  sample.out({"export", "t.stt", "--format", "pprof", "-o", "t.pb.gz"});
  if (run({"sh", "-c", "command -v go"}).exit_code != 0) {
    MESSAGE("SKIPPED: no go here; apt-get install golang-go");
    return;
  }
  const auto pprof = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"go", "tool", "pprof"});
    words.emplace_back("t.pb.gz");
    return run(words, kTimeout, {.env = {"TZ=UTC", "HOME=" + sample.folder.path()}, .folder = sample.folder.path()}).out;
  };
  CHECK(pprof({"-top"}) == R"(File: program
Build ID: abcd
Type: growth_time
Time: Nov 14, 2023 at 10:13pm (UTC)
Duration: 3ms, Total samples = 3700ns ( 0.12%)
Showing nodes accounting for 3700ns, 100% of 3700ns total
      flat  flat%   sum%        cum   cum%
    3200ns 86.49% 86.49%     3200ns 86.49%  deep
     500ns 13.51%   100%      500ns 13.51%  split
         0     0%   100%     3200ns 86.49%  inlined (inline)
         0     0%   100%      500ns 13.51%  loop
         0     0%   100%     3200ns 86.49%  start
         0     0%   100%     3200ns 86.49%  work
)");
  CHECK(pprof({"-raw"}) == R"(PeriodType:  
Period: 0
Time: 2023-11-14 22:13:20 +0000 UTC
Duration: 3ms
Samples:
events/count bytes_copied/bytes growth_time/nanoseconds[dflt] longest/nanoseconds
          4       5000       3200       1200: 1 2 3 
                entry:[work]
          4          0        500        500: 4 5 
                entry:[loop]
Locations
     1: 0x100f M=1 deep /src/deep.cpp:10 s=0(_Z4deepi)
     2: 0x200f M=1 inlined /src/work.cpp:18 s=0(_Z7inlinedv)
             work /src/work.cpp:20 s=0(_Z4workv)
     3: 0x300f M=1 start /usr/include/stacktide/runtime.h:40 s=0(_ZN9stacktide6detail5startEv)
     4: 0x400f M=1 split /src/split.cpp:7 s=0(_Z5splitv)
     5: 0x500f M=1 loop /src/split.cpp:30 s=0(_Z4loopv)
Mappings
1: 0x1000/0x9000/0x1000 /bin/program abcd [FN][FL][LN][IN]
)");
}

TEST_CASE("a trace without an end says so; lost and damaged records are a partial result") {
  const Sample sample;
  const auto path = sample.folder / "k.stt";
  const auto write = [&](std::uint64_t lost) {
    TraceWriter writer(path);
    writer.header.lost = lost;
    writer.spawn(1000, 1, 0, 0x8000, 0, 2048, STACKTIDE_TRACE_MAIN);
  };
  write(0);
  const std::string no_end =
      "the trace has no end: the program was killed, crashed or is still running; it is read up to its last complete record";
  auto output = sample.trace({"show", "k.stt"});
  CHECK(output.out == "    0.000000  goroutine 1 begins, entry 0x8000\n");
  CHECK(output.err == "stacktide: k.stt: " + no_end + "\n");
  CHECK(output.exit_code == 0);
  CHECK(sample.trace({"summary", "k.stt"}).out.find("end         " + no_end + "\n") != std::string::npos);
  write(3);
  output = sample.trace({"summary", "k.stt"});
  CHECK(output.exit_code == 3);
  CHECK(output.err == "stacktide: k.stt: 3 records lost\nstacktide: k.stt: " + no_end + "\n");
  CHECK(output.out.find("lost        3 records: the buffer was full\n") != std::string::npos);
  write(0);
  std::filesystem::resize_file(path, 4096 + 16 + 40);
  output = sample.trace({"export", "k.stt", "--format", "jsonl"});
  CHECK(output.exit_code == 3);
  CHECK(lines_of(output.out).size() == 1);
  CHECK(output.err.starts_with("stacktide: k.stt: the file is cut short: "));
}

TEST_CASE("labels and names from a file steer neither a terminal nor a parser") {
  const Sample sample;
  const auto path = sample.folder / "n.stt";
  const std::string nasty = "a\"b\\c\n\x1b[31m\xff</script>";
  {
    TraceWriter writer(path);
    writer.text(STACKTIDE_TRACE_COMMAND, 0, 0, 0, nasty);
    writer.text(STACKTIDE_TRACE_NAME, 0, 0, 1, nasty);
    writer.chain(1, {0x1010, 0x1020});
    writer.symbol(0x1010, false, nasty, nasty, 1, 0, nasty);
    writer.spawn(1000, 1, 0, 0x1010, 1);
    writer.text(STACKTIDE_TRACE_LABEL, 1100, 1, 0, nasty);
    writer.stack(STACKTIDE_TRACE_GROW, 1200, 1, 1, 2048, 4096, 100, 10);
    writer.park(1300, 1, 1, 1);
    writer.text(STACKTIDE_TRACE_END, 1400, 0, 0, nasty);
  }
  for (const auto& line : lines_of(sample.trace({"export", "n.stt", "--format", "jsonl"}).out)) CHECK(Json::accept(line));
  CHECK(broken_rule(Json::parse(sample.trace({"export", "n.stt", "--format", "perfetto"}).out)) == "");
  CHECK(Json::accept(sample.trace({"summary", "n.stt", "--json"}).out));
  for (const auto* command : {"show", "summary"}) {
    const auto text = sample.trace({command, "n.stt"}).out;
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find("\\x0a\\x1b[31m") != std::string::npos);
  }
}

TEST_CASE("what makes no sense is one line and exit code 2") {
  const Sample sample;
  CHECK(sample.err({}) == "stacktide: trace: which command? (see stacktide trace --help)\n");
  CHECK(sample.err({"shwo", "t.stt"}) == "stacktide: trace: no command 'shwo' (see stacktide trace --help)\n");
  CHECK(sample.err({"show"}) == "stacktide: trace show: of which recording? stacktide trace show FILE\n");
  CHECK(sample.err({"show", "x.stt"}) == "stacktide: x.stt: No such file or directory\n");
  CHECK(sample.err({"show", "."}) == "stacktide: .: not a regular file\n");
  CHECK(sample.err({"summary", cli_program()}) ==
        fmt::format("stacktide: {} is no trace file: `stacktide record` writes them\n", cli_program()));
  CHECK(
      sample.err({"show", "t.stt", "--kind", "grow,pork"}) ==
      "stacktide: trace show: 'pork' is no kind of record; there are grow, shrink, link, release, spawn, exit, live, park, "
      "ready, label\n");
  CHECK(sample.err({"show", "t.stt", "--from", "5 minutes"}) ==
        "stacktide: trace show: --from wants a time as 1.5s or 200ms, not '5 minutes'\n");
  CHECK(sample.err({"show", "t.stt", "--json=tree"}) == "stacktide: trace show: --json takes only the value lines\n");
  CHECK(sample.err({"show", "t.stt", "--entry", "("}).starts_with("stacktide: bad pattern '(': "));
  CHECK(sample.err({"export", "t.stt", "--format", "csv"}) ==
        "stacktide: trace export: --format wants jsonl, perfetto or pprof, not 'csv'\n");
  CHECK(sample.err({"export", "t.stt", "--format", "jsonl", "-o", "no/such/folder"}) ==
        "stacktide: no/such/folder: No such file or directory\n");
  CHECK(sample.out({"--help"}).starts_with("stacktide trace COMMAND FILE [OPTIONS]\n"));
  CHECK(sample.out({"export", "--help"}).find("  $ stacktide trace export t.stt --format pprof") != std::string::npos);
}
