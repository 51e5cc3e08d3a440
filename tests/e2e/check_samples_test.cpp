// `stacktide trace check` on recordings of the samples, with the rules that lie beside them: what a build server would see.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/process.h"

using namespace stacktide::test;

namespace {

constexpr const char* kRules = STACKTIDE_SOURCE_DIR "/samples/stacktide.toml";

void record(const std::string& file, std::vector<std::string> program, std::vector<std::string> env, int exit_code = 0) {
  std::vector<std::string> words = {cli_program(), "record", "--quiet", "-o", file, "--"};
  words.insert(words.end(), program.begin(), program.end());
  const auto done = run(words, kTimeout, {.env = std::move(env), .folder = {}, .core = false});
  INFO(done.out);
  INFO(done.err);
  REQUIRE(done.exit_code == exit_code);
}

Output check(std::vector<std::string> words, std::vector<std::string> env = {}) {
  words.insert(words.begin(), {cli_program(), "trace", "check"});
  if (env.empty()) env = {"GITHUB_ACTIONS="};  // the build server's own
  return run(words, kTimeout, {.env = std::move(env), .folder = {}, .core = false});
}

std::string write(const std::string& file, const std::string& text) {
  std::ofstream(file) << text;
  return file;
}

std::string read(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

std::string rule(const std::string& metric, const std::string& more) {
  return "[[rule]]\nname = '" + metric + "'\nmetric = '" + metric + "'\n" + more + "\n";
}

const std::string kHotSplit =
    "1000 hot splits in (anonymous namespace)::callee (hot_split.cpp:35), called from (anonymous namespace)::caller<288> "
    "(hot_split.cpp:48): goroutines 11, 10 of measure::{lambda}::operator()";

}  // namespace

TEST_CASE("samples/hot_split fails under segmented stacks, by function, line and caller, and passes under contiguous ones") {
  const TempDir folder;
  const auto trace = folder / "t.stt";
  record(trace, {sample_program("hot_split"), "1000"}, {"STACKTIDE_POLICY=segmented"});
  const auto segmented = check({trace, "--rules", kRules});
  CHECK(segmented.exit_code == 1);
  CHECK(segmented.err == "");
  CHECK(segmented.out == "FAIL  no hot splits: hot_splits 1000, limit 0\n      " + kHotSplit +
                             "\n"
                             "ok    no goroutine is left: live_at_exit 0, limit 0\n"
                             "ok    no deadlock: deadlock 0, limit 0\n"
                             "ok    stacks stay below a mebibyte: largest_stack 10 KiB (10240 bytes), limit 1 "
                             "MiB (1048576 bytes)\n"
                             "ok    little is copied: bytes_copied 0 bytes, limit 1 MiB (1048576 bytes)\n"
                             "ok    nothing is lost: lost_events 0, limit 0\n"
                             "6 rules on " +
                             trace + ": 5 hold, 1 fails\n");

  const auto other = folder / "c.stt";
  record(other, {sample_program("hot_split"), "1000"}, {"STACKTIDE_POLICY=contiguous"});
  const auto contiguous = check({other, "--rules", kRules});
  CHECK(contiguous.exit_code == 0);
  CHECK(contiguous.out.starts_with("ok    no hot splits: hot_splits 0, limit 0\n"));
  CHECK(contiguous.out.ends_with("6 rules on " + other + ": 6 hold\n"));

  // The same by tolerance: what was right with the older build is the baseline.
  const auto rules = write(folder / "r.toml", rule("hot_splits", "tolerance = '10%'"));
  const auto compared = check({trace, "--rules", rules, "--baseline", other});
  CHECK(compared.exit_code == 1);
  CHECK(compared.out == "FAIL  hot_splits: hot_splits 1000, limit 0 (the baseline's 0 and 10%)\n      " + kHotSplit +
                            "; none in the baseline\n1 rule on " + trace + ": 0 hold, 1 fails\n");
  CHECK(check({other, "--rules", rules, "--baseline", trace}).exit_code == 0);
}

TEST_CASE("samples/leak fails: its goroutines are named with where they wait and who created them") {
  const TempDir folder;
  const auto trace = folder / "t.stt";
  record(trace, {sample_program("leak")}, {"STACKTIDE_MAXPROCS=1"});
  const auto done = check({trace, "--rules", kRules});
  CHECK(done.exit_code == 1);
  CHECK(done.out ==
        "ok    no hot splits: hot_splits 0, limit 0\n"
        "FAIL  no goroutine is left: live_at_exit 5, limit 0\n"
        "      3 goroutines of (anonymous namespace)::worker wait at leak.cpp:19 (chan receive), created in "
        "main::{lambda}::operator() at leak.cpp:38: goroutines 2, 3, 4\n"
        "      2 goroutines of (anonymous namespace)::attempt wait at leak.cpp:23 (chan send), created in (anonymous "
        "namespace)::ask at leak.cpp:28: goroutines 5, 6\n"
        "ok    no deadlock: deadlock 0, limit 0\n"
        "ok    stacks stay below a mebibyte: largest_stack 2 KiB (2048 bytes), limit 1 MiB (1048576 bytes)\n"
        "ok    little is copied: bytes_copied 0 bytes, limit 1 MiB (1048576 bytes)\n"
        "ok    nothing is lost: lost_events 0, limit 0\n"
        "6 rules on " +
            trace + ": 5 hold, 1 fails\n");
}

TEST_CASE("samples/deadlock fails: all who wait are named") {
  const TempDir folder;
  const auto trace = folder / "t.stt";
  record(trace, {sample_program("deadlock")}, {"STACKTIDE_MAXPROCS=1"}, 128 + SIGABRT);
  const auto rules = write(folder / "r.toml", rule("deadlock", "max = 0"));
  const auto done = check({trace, "--rules", rules});
  CHECK(done.exit_code == 1);
  CHECK(done.out ==
        "FAIL  deadlock: deadlock 1, limit 0\n"
        "      1 goroutine of (anonymous namespace)::polite waits at deadlock.cpp:16 (chan receive), created in "
        "main::{lambda}::operator() at deadlock.cpp:27: goroutine 2\n"
        "      1 goroutine of main::{lambda}::operator() waits in (anonymous namespace)::polite at deadlock.cpp:16 (chan "
        "receive), "
        "created in main at deadlock.cpp:24: goroutine 1\n"
        "1 rule on " +
            trace + ": 0 hold, 1 fails\n");
}

TEST_CASE("a stack that grows: the function that needed room, and the lambda that was started") {
  const TempDir folder;
  const auto trace = folder / "t.stt";
  record(trace, {sample_program("grow"), "1000", "3"}, {});
  const auto rules =
      write(folder / "r.toml", rule("largest_stack", "max = '64K'") + rule("growths", "max = 0\nfunction = 'recurse'") +
                                   rule("high_water", "max = '64K'"));
  const auto done = check({trace, "--rules", rules});
  const std::string place =
      "in (anonymous namespace)::recurse (grow.cpp:29), called from (anonymous namespace)::recurse (grow.cpp:33)";
  CHECK(done.out ==
        "FAIL  largest_stack: largest_stack 256 KiB (262144 bytes), limit 64 KiB (65536 bytes)\n"
        "      a stack of 256 KiB (262144 bytes): goroutine 1 of main::{lambda()#1}::operator(), " +
            place +
            "\n"
            "FAIL  growths: growths 21, limit 0\n"
            "      21 growths " +
            place +
            ": goroutine 1 of main::{lambda()#1}::operator()\n"
            "FAIL  high_water: high_water 127.2 KiB (130216 bytes), limit 64 KiB (65536 bytes)\n"
            "      127.2 KiB (130216 bytes) used: goroutine 1 of main::{lambda()#1}::operator(), " +
            place + "\n3 rules on " + trace + ": 0 hold, 3 fail\n");
}

TEST_CASE("a program that was killed: rules are judged on what there is, and success is not claimed") {
  const TempDir folder;
  const auto trace = folder / "t.stt";
  auto park =
      Child::start({sample_program("park"), "4"}, {.env = {"STACKTIDE_TRACE=" + trace}, .folder = {}, .core = false});
  park.wait_for_line("ready");
  park.signal(SIGKILL);
  CHECK(park.wait() == 128 + SIGKILL);
  const auto rules =
      write(folder / "r.toml", rule("hot_splits", "max = 0") + rule("live_at_exit", "max = 4\nlabel = 'depth'"));
  const auto done = check({trace, "--rules", rules});
  CHECK(done.exit_code == 3);
  CHECK(done.out ==
        "ok    hot_splits: hot_splits 0, limit 0\n"
        "ok    live_at_exit: live_at_exit 4, limit 4\n"
        "2 rules on " +
            trace +
            ": 2 hold\n"
            "note: live_at_exit counts goroutines without an exit, since the trace has no end\n"
            "incomplete: the trace has no end: the program was killed, or still runs\n");
  CHECK(check({trace, "--rules", write(folder / "r.toml", rule("live_at_exit", "max = 3\nlabel = 'depth'"))}).exit_code ==
        1);
}

TEST_CASE("for machines: files, annotations by themselves on GitHub, JSON") {
  const TempDir folder;
  const auto trace = folder / "t.stt";
  record(trace, {sample_program("hot_split"), "1000"}, {"STACKTIDE_POLICY=segmented"});
  const auto rules = write(folder / "r.toml", rule("hot_splits", "max = 0"));
  const auto done = check({trace, "--rules", rules, "--junit", folder / "j.xml", "--sarif", folder / "s.sarif",
                           "--source-root", STACKTIDE_SOURCE_DIR},
                          {"GITHUB_ACTIONS=true"});
  CHECK(done.exit_code == 1);
  CHECK(done.out.ends_with("::error file=samples/hot_split.cpp,line=35,title=hot_splits::hot_splits 1000, limit 0%0A" +
                           kHotSplit + "\n"));
  const auto junit = read(folder / "j.xml");
  CHECK(junit.find("tests=\"1\" failures=\"1\"") != junit.npos);
  CHECK(junit.find("(hot_split.cpp:35), called from (anonymous namespace)::caller&lt;288&gt;") != junit.npos);
  const auto sarif = nlohmann::json::parse(read(folder / "s.sarif"));
  const auto& result = sarif["runs"][0]["results"][0];
  CHECK(result["ruleId"] == "hot_splits");
  CHECK(result["locations"][0]["physicalLocation"].dump() ==
        R"({"artifactLocation":{"uri":"samples/hot_split.cpp","uriBaseId":"SRCROOT"},"region":{"startLine":35}})");
  CHECK(result["relatedLocations"][0]["physicalLocation"]["region"].dump() == R"({"startLine":48})");
  const auto json = nlohmann::json::parse(check({trace, "--rules", rules, "--json"}, {"GITHUB_ACTIONS=true"}).out);
  CHECK(json["results"][0]["culprits"][0]["goroutines"].dump() == "[11,10]");
  CHECK(json["counts"].dump() == R"({"failed":1,"total":1,"warned":0})");
  const auto coloured = check({trace, "--rules", rules, "--color", "always"});
  CHECK(coloured.out.starts_with("\x1b[31mFAIL\x1b[0m  \x1b[1mhot_splits\x1b[0m: hot_splits 1000, limit 0\n"));
}

TEST_CASE("what cannot be judged is exit code 2, a line for each reason") {
  const TempDir folder;
  const auto trace = folder / "t.stt";
  record(trace, {sample_program("leak")}, {});
  const auto refused = [&](const std::vector<std::string>& words, const std::string& err) {
    const auto done = check(words);
    CHECK(done.out == "");
    CHECK(done.err == err);
    CHECK(done.exit_code == 2);
  };
  refused({}, "stacktide: trace check: of which trace? (see stacktide trace check --help)\n");
  refused({trace}, "stacktide: trace check: which rules? give --rules FILE (see stacktide trace check --help)\n");
  refused({trace, "--rules", "/nowhere.toml"}, "stacktide: /nowhere.toml: No such file or directory\n");
  const auto rules = write(folder / "r.toml", rule("growths", "max = 0\nentry = 'nobody'") + rule("thrash", "maxx = 0"));
  refused({trace, "--rules", rules}, "stacktide: " + rules +
                                         ":6:1: no limit: a rule has max, or tolerance, or both\n"
                                         "stacktide: " +
                                         rules + ":9:1: unknown key 'maxx' (did you mean max?)\n");
  write(rules, rule("growths", "max = 0\nentry = 'nobody'"));
  refused({trace, "--rules", rules},
          "stacktide: " + rules +
              ":5:9: rule 'growths' matches nothing: no goroutine's entry function matches 'nobody' in " + trace +
              " (optional = true allows that)\n");
  write(rules, rule("growths", "max = 0"));
  refused({trace, "--rules", rules, "--junit", "/nowhere/j.xml"}, "stacktide: cannot write /nowhere/j.xml\n");
  CHECK(check({folder / "no.stt", "--rules", rules}).exit_code == 2);
  CHECK(check({trace, "--rules", rules, "--frobnicate"}).exit_code == 2);
  CHECK(check({trace, "--rules", rules, "--top", "0"}).exit_code == 2);
  CHECK(check({trace, "--rules", rules, "--json", "--github"}).exit_code == 2);
}

TEST_CASE("help and explanations need no trace") {
  const auto help = check({"--help"});
  CHECK(help.exit_code == 0);
  CHECK(help.out.starts_with("stacktide trace check TRACE --rules FILE [--baseline TRACE] [OPTIONS]\n"));
  CHECK(
      check({"--explain"}).out.find("\nhot_splits             count    entry, label, function  How often a call crossed") !=
      std::string::npos);
  CHECK(check({"--explain", "hot_splits"}).out.starts_with("hot_splits: How often a call crossed the same boundary"));
  CHECK(check({"--explain", "no deadlock", "--rules", kRules}).out.starts_with("no deadlock (" + std::string(kRules) + ":"));
  CHECK(check({"--explain", "speed"}).err ==
        "stacktide: no metric 'speed' (--explain alone lists them; of a rule: --rules FILE too)\n");
}
