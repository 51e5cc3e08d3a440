// What `trace check` says to machines: JUnit XML, SARIF, annotations of GitHub Actions, JSON.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "analyze/check.h"
#include "support/checked_trace.h"
#include "support/process.h"
#include "trace/recording_source.h"
#include "view/check.h"
#include "view/json.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr std::string_view kRules = R"([[rule]]
name = "splits: 100%, \"hot\" <&>"
metric = "hot_splits"
max = 1

[[rule]]
name = "left"
metric = "live_at_exit"
entry = "worker"
max = 0
level = "warning"

[[rule]]
name = "lost"
metric = "lost_events"
max = 0

[[rule]]
name = "small"
metric = "largest_stack"
tolerance = "150%"

[[rule]]
name = "nobody"
metric = "growths"
entry = "nobody"
max = 0
optional = true
)";

// The report of a trace that lost a record, with names that do not depend on the folder.
CheckReport make_report(const std::string& file) {
  const auto rules = *parse_rules(kRules, "/src/ci/r.toml");
  const auto recording = *Recording::open(file);
  RecordingSource source(recording);
  auto report = *check(rules, source, &source, {});
  report.trace.name = "t.stt";
  report.baseline = "old.stt";
  return report;
}

struct Report {
  Report() {
    write_checked_trace(folder / "t.stt");
    report = make_report(folder / "t.stt");
    // As from a recording with losses.
    report.trace.incomplete = {"1 record is lost: there was no room for it"};
    report.results[2].verdict = Verdict::fails;
    report.results[2].value = 1;
  }
  TempDir folder;
  CheckReport report;
};

}  // namespace

TEST_CASE_FIXTURE(Report, "JUnit XML: a case for each rule, warnings and what is incomplete at the end") {
  CHECK(check_junit(report) ==
        R"(<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="stacktide trace check" package="stacktide" id="0" tests="5" failures="2" errors="0" skipped="1" time="0.000" timestamp="2023-11-14T22:13:20" hostname="localhost">
    <properties>
      <property name="trace" value="t.stt"/>
      <property name="rules" value="/src/ci/r.toml"/>
      <property name="baseline" value="old.stt"/>
    </properties>
    <testcase name="splits: 100%, &quot;hot&quot; &lt;&amp;&gt;" classname="stacktide.trace.check" time="0">
      <failure type="hot_splits" message="hot_splits 2, limit 1">2 hot splits in render (render.cpp:7), called from handler (handler.cpp:44): goroutine 4 of handler
</failure>
    </testcase>
    <testcase name="left" classname="stacktide.trace.check" time="0"/>
    <testcase name="lost" classname="stacktide.trace.check" time="0">
      <failure type="lost_events" message="lost_events 1, limit 0"></failure>
    </testcase>
    <testcase name="small" classname="stacktide.trace.check" time="0"/>
    <testcase name="nobody" classname="stacktide.trace.check" time="0">
      <skipped message="growths: nothing matches, which is allowed"/>
    </testcase>
    <system-out>warning: left: live_at_exit 1, limit 0
1 goroutine of worker waits in take at queue.cpp:30 (chan receive), created in main at main.cpp:5: goroutine 3
</system-out>
    <system-err>incomplete: 1 record is lost: there was no room for it
</system-err>
  </testsuite>
</testsuites>
)");
}

TEST_CASE_FIXTURE(Report, "XML has no control characters and no broken UTF-8") {
  report.results[0].rule.name = "a\x01\xff";
  const auto xml = check_junit(report);
  CHECK(xml.find("name=\"a\xef\xbf\xbd\xef\xbf\xbd\"") != xml.npos);
}

TEST_CASE_FIXTURE(Report, "SARIF: a rule for each rule, a result for each culprit, paths relative to the source tree") {
  const auto json = Json::parse(check_sarif(report, "/src", "1.2.3"));
  CHECK(json["version"] == "2.1.0");
  REQUIRE(json["runs"].size() == 1);
  const auto& run = json["runs"][0];
  const auto& driver = run["tool"]["driver"];
  CHECK(driver["name"] == "stacktide");
  CHECK(driver["version"] == "1.2.3");
  CHECK(driver["rules"].size() == 5);
  CHECK(driver["rules"][2].dump() ==
        R"({"id":"lost","shortDescription":{"text":"How many records are missing because there was no room for them."},)"
        R"("fullDescription":{"text":"The recorder's own count. Where it is not 0, the other numbers may be too small."},)"
        R"("help":{"text":"Record so that a full buffer waits: `stacktide record --help`."},)"
        R"("defaultConfiguration":{"level":"error"},"properties":{"metric":"lost_events"}})");
  CHECK(run["originalUriBaseIds"].dump() == R"({"SRCROOT":{"uri":"file:///src/"}})");
  CHECK(run["invocations"].dump() ==
        R"([{"executionSuccessful":true,"toolExecutionNotifications":[{"level":"warning","message":)"
        R"({"text":"1 record is lost: there was no room for it"}}]}])");
  REQUIRE(run["results"].size() == 3);
  CHECK(run["results"][0].dump() ==
        R"({"ruleId":"splits: 100%, \"hot\" <&>","ruleIndex":0,"level":"error","message":{"text":)"
        R"("splits: 100%, \"hot\" <&>: hot_splits 2, limit 1; 2 hot splits in render (render.cpp:7), called from handler )"
        R"((handler.cpp:44): goroutine 4 of handler"},"locations":[{"physicalLocation":{"artifactLocation":)"
        R"({"uri":"lib/render.cpp","uriBaseId":"SRCROOT"},"region":{"startLine":7}},"logicalLocations":)"
        R"([{"fullyQualifiedName":"render","kind":"function"}]}],"relatedLocations":[{"id":0,"message":)"
        R"({"text":"called from here"},"physicalLocation":{"artifactLocation":{"uri":"handler.cpp","uriBaseId":"SRCROOT"},)"
        R"("region":{"startLine":44}},"logicalLocations":[{"fullyQualifiedName":"handler","kind":"function"}]}],)"
        R"("properties":{"metric":"hot_splits","value":2,"limit":1,"culpritValue":2,"entry":"handler","goroutines":[4]}})");
  // Nothing in source is to blame: the rule itself is shown.
  CHECK(run["results"][2].dump() ==
        R"({"ruleId":"lost","ruleIndex":2,"level":"error","message":{"text":"lost: lost_events 1, limit 0"},"locations":)"
        R"([{"physicalLocation":{"artifactLocation":{"uri":"ci/r.toml","uriBaseId":"SRCROOT"},"region":{"startLine":13}}}],)"
        R"("properties":{"metric":"lost_events","value":1,"limit":0}})");
}

TEST_CASE_FIXTURE(Report, "SARIF: a file outside of the source tree has a whole URI") {
  const auto json = Json::parse(check_sarif(report, "/src/lib", "1.2.3"));
  const auto uri = [&](std::size_t i) {
    return json["runs"][0]["results"][i]["locations"][0]["physicalLocation"]["artifactLocation"].dump();
  };
  CHECK(uri(0) == R"({"uri":"render.cpp","uriBaseId":"SRCROOT"})");
  CHECK(uri(1) == R"({"uri":"file:///src/queue.cpp"})");
  report.results[0].culprits[0].place.file = "/src/a b/\xc3\xa9.cpp";
  const auto other = Json::parse(check_sarif(report, "/src", "1.2.3"));
  CHECK(other["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b/%C3%A9.cpp");
}

TEST_CASE_FIXTURE(Report, "GitHub: a command for each culprit, escaped as its runner wants it") {
  CHECK(check_github(report, "/src") ==
        "::error file=lib/render.cpp,line=7,title=splits%3A 100%25%2C \"hot\" <&>::hot_splits 2, limit 1%0A2 hot splits in "
        "render "
        "(render.cpp:7), called from handler (handler.cpp:44): goroutine 4 of handler\n"
        "::warning file=queue.cpp,line=30,title=left::live_at_exit 1, limit 0%0A1 goroutine of worker waits in take at "
        "queue.cpp:30 (chan receive), created in main at main.cpp:5: goroutine 3\n"
        "::error file=ci/r.toml,line=13,title=lost::lost_events 1, limit 0\n"
        "::warning title=stacktide::1 record is lost: there was no room for it\n");
}

TEST_CASE_FIXTURE(Report, "JSON: everything, with whole numbers") {
  const auto json = Json::parse(check_json(report));
  CHECK(json["schema"] == "stacktide/1");
  CHECK(json["counts"].dump() == R"({"total":5,"failed":2,"warned":1})");
  CHECK(json["incomplete"].dump() == R"(["1 record is lost: there was no room for it"])");
  CHECK(
      json["results"][0].dump() ==
      R"({"rule":"splits: 100%, \"hot\" <&>","line":1,"metric":"hot_splits","unit":"count","level":"error",)"
      R"("verdict":"fails","value":2,"limit":1,"message":"hot_splits 2, limit 1","culprits":[{"value":2,)"
      R"("entry":"handler","goroutines":[4],"more_goroutines":0,"place":{"function":"render","file":)"
      R"("/src/lib/render.cpp","line":7},"caller":{"function":"handler","file":"/src/handler.cpp","line":44},)"
      R"("message":"2 hot splits in render (render.cpp:7), called from handler (handler.cpp:44): goroutine 4 of handler"}],)"
      R"("more_culprits":0})");
  CHECK(
      json["results"][1]["culprits"][0].dump() ==
      R"({"value":1,"entry":"worker","goroutines":[3],"more_goroutines":0,"place":{"function":"take","file":)"
      R"("/src/queue.cpp","line":30},"created_at":{"function":"main","file":"/src/main.cpp","line":5},)"
      R"("wait_reason":"chan receive","message":"1 goroutine of worker waits in take at queue.cpp:30 (chan receive), created )"
      R"(in main at main.cpp:5: goroutine 3"})");
  CHECK(
      json["results"][3].dump() ==
      R"j({"rule":"small","line":18,"metric":"largest_stack","unit":"bytes","level":"error","verdict":"holds","value":8192,)j"
      R"j("limit":20480,"tolerance":"150%","baseline":8192,"message":"largest_stack 8 KiB (8192 bytes), limit 20 KiB (20480 )j"
      R"j(bytes) (the baseline's 8 KiB (8192 bytes) and 150%)","culprits":[],"more_culprits":0})j");
}

// tests/schemas/README.md says where they come from.
TEST_CASE_FIXTURE(Report, "JUnit and SARIF are what their schemas want, where these are") {
  const char* given = std::getenv("STACKTIDE_SCHEMAS");
  const std::string schemas = given != nullptr ? given : STACKTIDE_SOURCE_DIR "/tests/schemas";
  const auto has = [&](const std::string& name) {
    if (std::filesystem::exists(schemas + '/' + name)) return true;
    MESSAGE("no " << name << " in " << schemas << ": see tests/schemas/README.md, and set STACKTIDE_SCHEMAS");
    CHECK(given == nullptr);
    return false;
  };
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder / name, std::ios::binary) << text;
    return folder / name;
  };
  const auto junit = write("junit.xml", check_junit(report));
  for (const std::string name : {"junit-10.xsd", "JUnit.xsd"}) {
    if (!has(name)) continue;
    const auto done = run({"xmllint", "--noout", "--nonet", "--schema", schemas + '/' + name, junit});
    INFO(done.err);
    CHECK(done.exit_code == 0);
  }
  if (!has("sarif-schema-2.1.0.json")) return;
  const auto done = run({"python3", "-c",
                         "import json, sys, jsonschema\n"
                         "schema = json.load(open(sys.argv[1]))\n"
                         "kind = jsonschema.validators.validator_for(schema)\n"
                         "kind.check_schema(schema)\n"
                         "for error in kind(schema).iter_errors(json.load(open(sys.argv[2]))): sys.exit(str(error))\n",
                         schemas + "/sarif-schema-2.1.0.json", write("check.sarif", check_sarif(report, "/src", "1.2.3"))});
  INFO(done.err);
  CHECK(done.exit_code == 0);
}

TEST_CASE("explanations come from the table, with a rule's own filters") {
  const auto rules = *parse_rules(kRules, "r.toml");
  CHECK(explain_rule(rules, rules.rules[1], {}) ==
        R"(left (r.toml:6): live_at_exit, a warning
  max       0
  entry     goroutines whose entry function matches 'worker'
  means     How many goroutines were left when the program ended.
  computed  Goroutines other than the main one that waited, or were in a library call, at the end; those that ran, or could have, were cut off by it and do not count. Of a trace without an end: those whose exit is not in it.
  cure      A goroutine that waits for ever: close the channel that it receives from, receive what it sends, or give it a way to be told that it is over. Wait for goroutines (wait_group) before main returns.
)");
  CHECK(explain_metric(*find_metric("lost_events"), {}) ==
        R"(lost_events: How many records are missing because there was no room for them.
  computed  The recorder's own count. Where it is not 0, the other numbers may be too small.
  limit     a count, as 0 or 12
  filters   none
  cure      Record so that a full buffer waits: `stacktide record --help`.
)");
  const auto all = explain_metrics({});
  for (const auto& metric : metrics()) CHECK(all.find(metric.name) != all.npos);
}
