// `goroutine trace` with many events and with each option: one script, the same words in GDB and in LLDB. About 400 lines,
// for there is one case for each thing that the manual promises.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <regex>

#include "support/two_debuggers.h"

using namespace stacktide::test;

namespace {

constexpr Debugger kBoth[] = {Debugger::gdb, Debugger::lldb};

struct Counts {
  long grows = 0;
  long links = 0;
  long releases = 0;
  long shrinks = 0;
  bool operator==(const Counts&) const = default;
};

// What the program printed that its runtime counted; each link of a goroutine that ended is released.
Counts counted(const std::string& printed) {
  std::smatch match;
  REQUIRE_MESSAGE(std::regex_search(printed, match, std::regex(R"(counted (\d+) grows, (\d+) links, (\d+) shrinks)")),
                  printed);
  return {std::stol(match[1]), std::stol(match[2]), std::stol(match[2]), std::stol(match[3])};
}

// The trace's lines, without looking at more than their beginning: there are 100,000.
std::vector<std::string> event_lines(const std::string& text) {
  std::vector<std::string> found;
  for (auto& line : lines_of(text)) {
    const auto id = line.find_first_not_of("0123456789", 10);  // "goroutine 7: " is a chart's
    if (line.starts_with("goroutine ") && id != std::string::npos && line[id] == ' ' &&
        line.find(" bytes") != std::string::npos)
      found.push_back(std::move(line));
  }
  return found;
}

Counts traced(const std::string& text) {
  Counts counts;
  for (const auto& line : event_lines(text)) {
    counts.grows += line.find(" grew ") != std::string::npos;
    counts.links += line.find(" linked ") != std::string::npos;
    counts.releases += line.find(" released ") != std::string::npos;
    counts.shrinks += line.find(" shrank ") != std::string::npos;
  }
  return counts;
}

long number_before(const std::string& text, const std::string& what) {
  std::smatch match;
  if (!std::regex_search(text, match, std::regex("([0-9,]+) " + what))) return -1;
  std::string digits = match[1];
  std::erase(digits, ',');
  return std::stol(digits);
}

// "tracing stack events": GDB puts brackets around what it says.
std::string said(std::string text) {
  std::erase_if(text, [](char c) { return c == '[' || c == ']'; });
  return text;
}

std::string errors_of(const TwoDebuggersSession& session, Debugger debugger, std::size_t n) {
  if (debugger == Debugger::gdb) return session[n];
  const auto at = session.errors.find("error: ");
  return at == std::string::npos ? "" : session.errors.substr(at + 7);
}

const std::string kUsage =
    "usage: goroutine trace on [--goroutine ID] [--function REGEX] [--size-above N] [--kind grow,shrink,segment] [--stop] "
    "[--bt] [--quiet], trace off, trace show [--limit N] [--all], or trace check --rules FILE [--top N] [--junit FILE] (see "
    "help)\n";

}  // namespace

TEST_CASE("of 100,000 growths on four Ps none is lost, and the program stops some fifty times") {
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    const auto session = run_script(debugger, test_program("trace_load_O2"),
                                    {"@environment STACKTIDE_MAXPROCS=4", "@environment STACKTIDE_SHRINK=off",
                                     "goroutine trace on", "@run 100000", "goroutine trace show --limit 1"});
    const auto counts = counted(session.printed);
    CHECK(counts.grows >= 100'000);
    CHECK(counts.shrinks == 0);
    CHECK(traced(session[3]) == counts);
    const auto& show = session[4];
    CHECK(number_before(show, "grew") == counts.grows);
    CHECK(number_before(show, "lost") == 0);
    // At least two stops per 4096 events of a ring, and few more: one in 100 ms, the last, and one for each ring's rest.
    const auto stops = number_before(show, "stops");
    CHECK(stops >= counts.grows / 2048 - 5);
    CHECK(stops < 500);
  }
}

TEST_CASE("the stops that the trace counts are the hits of a breakpoint at the hook") {
  const auto gdb = run_script(Debugger::gdb, test_program("trace_load_O2"),
                              {"@break stacktide_events_pending", "ignore 1 1000000", "goroutine trace on", "@run 30000",
                               "info breakpoints", "goroutine trace show --limit 1"});
  const auto hits = number_before(gdb[4].substr(gdb[4].find("hit ") + 4), "times");
  CHECK(hits > 10);
  CHECK(number_before(gdb[5], "stops") == hits);
  const auto lldb = run_script(Debugger::lldb, test_program("trace_load_O2"),
                               {"goroutine trace on", "@run 30000", "breakpoint list", "goroutine trace show --limit 1"});
  std::smatch match;
  REQUIRE(std::regex_search(lldb[2], match, std::regex(R"(hit count = (\d+))")));
  CHECK(number_before(lldb[3], "stops") == std::stol(match[1]));
}

TEST_CASE("with rings of 16 events, which are half full at once, none is lost either") {
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    const auto session = run_script(
        debugger, test_program("trace_load_O2"),
        {"@environment STACKTIDE_EVENTS=16", "@environment STACKTIDE_MAXPROCS=4", "@environment STACKTIDE_SHRINK=off",
         "goroutine trace on", "@run 1000", "goroutine trace show --limit 1"});
    CHECK(traced(session[4]) == counted(session.printed));
    CHECK(number_before(session[5], "lost") == 0);
    CHECK(number_before(session[5], "stops") >= 1000 / 8);
  }
}

TEST_CASE("segments that are linked and released are traced") {
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    const auto session = run_script(debugger, test_program("trace_load_O2"),
                                    {"@environment STACKTIDE_POLICY=segmented", "goroutine trace on --kind segment",
                                     "@run 2000", "goroutine trace show --limit 2"});
    const auto counts = counted(session.printed);
    CHECK(counts.links >= 2000);
    CHECK(traced(session[2]) == counts);
    CHECK(number_before(session[3], "linked") == counts.links);
    CHECK(number_before(session[3], "released") == counts.links);
  }
}

TEST_CASE("a program that ends by exit() or abort() in a goroutine has shown its last events") {
  for (const auto debugger : kBoth) {
    for (const char* end : {"exit", "abort"}) {
      CAPTURE(std::string(name_of(debugger)));
      CAPTURE(std::string(end));
      const auto session = run_script(debugger, test_program("trace_load_O2"),
                                      {"goroutine trace on --kind grow", fmt::format("@run 500 {}", end)});
      CHECK(traced(session[1]).grows == counted(session.printed).grows);
    }
  }
}

TEST_CASE("a second run is traced from its start, and show is about that one") {
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    const auto session = run_script(debugger, sample_program("grow"),
                                    {"goroutine trace on --kind grow", "@run 1000", "@run 1000", "goroutine trace show"});
    CHECK(traced(session[1]).grows == 7);
    CHECK(traced(session[2]) == traced(session[1]));
    CHECK(session[3].ends_with("7 stack events: 7 grew; 7 others filtered out; 0 lost; 1 stop; tracing is on\n"));
  }
}

TEST_CASE("each option chooses events, and show draws what was chosen") {
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    const auto lines = [&](const std::string& options) {
      const auto session = run_script(debugger, sample_program("grow"), {"goroutine trace on " + options, "@run 1000"});
      return event_lines(session[1]);
    };
    const std::string big =
        "goroutine 1 grew 131072 -> 262144 bytes, used 130216, in (anonymous namespace)::recurse (grow.cpp:29), called from "
        "(anonymous namespace)::recurse (grow.cpp:33)";
    CHECK(lines("--size-above 128K --kind grow") == std::vector<std::string>{big});
    CHECK(lines("--size-above 131072") ==
          std::vector<std::string>{big, "goroutine 1 shrank 262144 -> 131072 bytes, used 552"});
    CHECK(lines("--kind shrink").size() == 7);
    CHECK(lines("--kind segment").empty());
    CHECK(lines("--kind grow,shrink").size() == 14);
    CHECK(lines("--goroutine 1").size() == 14);
    CHECK(lines("--goroutine 2").empty());
    CHECK(lines("--function recurse$").size() == 7);
    CHECK(lines("--function nobody").empty());
  }
}

TEST_CASE("show has a table and a chart of one goroutine's size over time") {
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    const auto session = run_script(debugger, sample_program("grow"),
                                    {"goroutine trace on", "@run 1000", "goroutine trace show", "goroutine trace off",
                                     "goroutine trace show --limit 1"});
    const auto lines = lines_of(session[2]);
    REQUIRE(lines.size() == 1 + 14 + 1 + 1 + 8 + 1 + 1 + 1);
    CHECK(lines[0] == "    time  goroutine  kind                size    used  function");
    CHECK(lines[1] == "0.000000          1  grow        2048 -> 4096    1208  (anonymous namespace)::recurse (grow.cpp:29)");
    CHECK(lines[8].ends_with("1  shrink  262144 -> 131072     552"));
    CHECK(lines[16] == "goroutine 1: 2048 to 262144 bytes, now 2048");
    CHECK(lines[17].starts_with("  256K |"));
    CHECK(lines[17].find('#') != std::string::npos);
    CHECK(lines[24] == "    2K |" + std::string(72, '#'));
    CHECK(lines[27] == "14 stack events: 7 grew, 7 shrank; 0 lost; 1 stop; tracing is on");
    CHECK(lines_of(session[4])[0] == "13 more before these: --all");
    CHECK(lines_of(session[4]).back() == "14 stack events: 7 grew, 7 shrank; 0 lost; 1 stop; tracing is off");
  }
}

TEST_CASE("--stop stops at the event, where goroutine commands work, and continue goes to the next") {
  // 20000 deep, so that the program goes on for a while: GDB 13 says "Couldn't get registers" when it has ended before all its
  // threads are resumed.
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    const auto session = run_script(
        debugger, sample_program("grow"),
        {"goroutine trace on --stop --size-above 64K --kind grow", "@run 20000", "goroutine", "goroutine bt 1 --limit 8",
         "bt 8", "continue", "goroutine trace show", "goroutine trace off", "continue"});
    REQUIRE(session.blocks.size() == 9);
    CHECK(event_lines(session[1]) ==
          std::vector<std::string>{
              "goroutine 1 grew 65536 -> 131072 bytes, used 64744, in (anonymous namespace)::recurse (grow.cpp:29), called "
              "from (anonymous namespace)::recurse (grow.cpp:33)"});
    // The debugger's own words about a breakpoint at the hook.
    CHECK(session[1].find("stacktide_stack_event") != std::string::npos);
    CHECK(session[2].find("1 [running] main::{lambda()#1}::operator()") != std::string::npos);
    CHECK(session[3].find("recurse (depth=19635, ") != std::string::npos);
    CHECK(session[4].find("recurse") != std::string::npos);
    CHECK(event_lines(session[5]).size() == 1);
    CHECK(session[5].find(" 131072 -> 262144 ") != std::string::npos);
    CHECK(session[6].find("2 stack events: 2 grew; 5 others filtered out; 0 lost; 7 stops; tracing is on") !=
          std::string::npos);
    CHECK(event_lines(session[8]).empty());
    CHECK(session.printed.find("the runtime counted 11 grows, 0 links, 11 shrinks") != std::string::npos);
  }
}

TEST_CASE("--bt prints the frames that needed room, and the program goes on") {
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    const auto session = run_script(debugger, sample_program("grow"),
                                    {"goroutine trace on --bt --kind grow", "@run 9", "goroutine trace show"});
    const auto lines = lines_of(session[1]);
    const auto first = std::ranges::find_if(lines, [](const auto& line) { return line.starts_with("goroutine 1 grew "); });
    REQUIRE(lines.end() - first > 6);
    CHECK(*first ==
          "goroutine 1 grew 2048 -> 4096 bytes, used 1208, in (anonymous namespace)::recurse (grow.cpp:29), called from "
          "(anonymous namespace)::recurse (grow.cpp:33)");
    CHECK(first[1].starts_with("    #0 (anonymous namespace)::recurse (depth=5, seen="));
    CHECK(first[1].ends_with(") at grow.cpp:29"));
    CHECK(first[2].starts_with("    #1 (anonymous namespace)::recurse (depth=6, seen="));
    CHECK(first[6].starts_with("    #5 main::{lambda()#1}::operator() ("));
    CHECK(session.printed.find("the runtime counted 1 grows") != std::string::npos);
    CHECK(session[2].find("1 stack event: 1 grew; ") != std::string::npos);
  }
}

TEST_CASE("what is new is printed at a stop for something else, too") {
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    // GROW_ABORT ends it in abort(), before run() returns and the runtime says that there are events.
    const auto session =
        run_script(debugger, sample_program("grow"), {"@environment GROW_ABORT=1", "goroutine trace on", "@run 1000"});
    CHECK(event_lines(session[2]).size() == 14);
    CHECK(session[2].find("SIGABRT") != std::string::npos);
  }
}

TEST_CASE("a process that is attached to is traced from there on; what happened before is history") {
  for (const auto debugger : kBoth) {
    for (const bool before : {false, true}) {
      CAPTURE(std::string(name_of(debugger)));
      CAPTURE(before);
      auto child =
          Child::start({test_program("trace_load_O2"), "20000", "then"}, {.env = {"STACKTIDE_SHRINK=off"}, .folder = ""});
      child.wait_for_line("ready");
      const auto attach = debugger == Debugger::gdb ? fmt::format("attach {}", child.pid())
                                                    : fmt::format("process attach --pid {}", child.pid());
      // Asked for before the attach, it waits for the process.
      std::vector<std::string> script = {attach, "goroutine trace on", "goroutine trace show", "goroutine history --limit 1",
                                         "detach"};
      if (before) std::swap(script[0], script[1]);
      const auto session = run_script(debugger, test_program("trace_load_O2"), script);
      CHECK(said(session[before ? 0 : 1]).starts_with("tracing stack events"));
      CHECK(event_lines(session.all).empty());
      CHECK(session[2].ends_with("0 stack events; 0 lost; 0 stops; tracing is on\n"));
      CHECK(session[3].find("grows, 0 shrinks") != std::string::npos);
      child.send_line("go on");
      child.wait_for_line("the runtime counted");
      CHECK(child.wait() == 0);  // it was let go of whole
    }
  }
}

TEST_CASE("a runtime that has only the hook at each event is traced by that one") {
  const TempDir folder;
  const auto program = with_event_hook_only(folder, test_program("trace_load_O2"));
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    const auto session = run_script(
        debugger, program,
        {"@environment STACKTIDE_SHRINK=off", "goroutine trace on", "@run 100", "goroutine trace show --limit 1"});
    const auto counts = counted(session.printed);
    CHECK(traced(session[2]) == counts);
    CHECK(number_before(session[3], "stops") == counts.grows);
  }
}

TEST_CASE("where a hook has no name in a process, the runtime's descriptor says where it is") {
  const TempDir folder;
  const auto program = with_event_hook_only(folder, test_program("trace_load_O2"));
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    const auto session = run_script(debugger, program,
                                    {"@environment STACKTIDE_SHRINK=off", "@break foreman", "@run 3000",
                                     debugger == Debugger::gdb ? "delete" : "breakpoint delete --force",
                                     "goroutine trace on", "continue", "goroutine trace show --limit 1"});
    CHECK(said(session[4]) == "tracing stack events\n");
    const auto counts = counted(session.printed);
    CHECK(traced(session[5]) == counts);
    CHECK(number_before(session[6], "stops") < 100);
  }
}

TEST_CASE("wrong words are one line with the usage, and leave a trace alone that is on") {
  const std::map<std::string, std::string> wrong = {
      {"goroutine trace", ""},
      {"goroutine trace of", ""},
      {"goroutine trace off now", ""},
      {"goroutine trace on --kind grow,nix", "trace on: 'nix' is no kind of event; "},
      {"goroutine trace on --frob", "trace on: no option --frob; "},
      {"goroutine trace on --stop=1", "trace on: --stop takes no value; "},
      {"goroutine trace on 7", "trace on: '7' is one argument too many; "},
      {"goroutine trace on --goroutine", "trace on: --goroutine wants ID; "},
      {"goroutine trace on --goroutine x", "trace on: 'x' is not the id of a goroutine; "},
      {"goroutine trace on --size-above 1X", "trace on: '1X' is not a size in bytes; "},
      {"goroutine trace on --function [", "trace on: bad pattern '[': Invalid regular expression; "},
      {"goroutine trace show --frob", "trace show: no option --frob; "},
      {"goroutine trace show --limit x", "trace show: --limit wants a number, not 'x'; "},
  };
  std::vector<std::string> script = {"goroutine trace on --kind shrink"};
  for (const auto& [command, message] : wrong) script.push_back(command);
  script.insert(script.end(), {"goroutine trace on --kind shrink", "@run 100", "goroutine trace show --limit 1"});
  const auto gdb = run_script(Debugger::gdb, sample_program("grow"), script);
  std::size_t n = 1;
  for (const auto& [command, message] : wrong) CHECK(gdb[n++] == "stacktide: " + message + kUsage);
  CHECK(gdb[n] == "[tracing stack events already]\n");
  CHECK(event_lines(gdb[n + 1]).size() == 4);
  CHECK(gdb[n + 2].ends_with("4 stack events: 4 shrank; 4 others filtered out; 0 lost; 1 stop; tracing is on\n"));
  // LLDB ends at the first error.
  for (const auto& [command, message] : wrong) {
    const auto lldb = run_script(Debugger::lldb, sample_program("grow"), {"goroutine trace on", command});
    CHECK(errors_of(lldb, Debugger::lldb, 1) == "stacktide: " + message + kUsage);
  }
}

TEST_CASE("two programs in one debugger do not mix, and one that goes takes its trace along") {
  const auto program = sample_program("grow");
  const auto script = [&](bool gdb) {
    const auto run = [&](int depth) { return fmt::format("@run {}", depth); };
    return std::vector<std::string>{
        "goroutine trace on --kind grow",                                    // 0
        run(200),                                                            // 1
        gdb ? "add-inferior -exec " + program : "target create " + program,  // 2
        gdb ? "inferior 2" : "target select 1",                              // 3
        "goroutine trace show",                                              // 4
        run(1000),                                                           // 5
        "goroutine trace on --kind shrink",                                  // 6
        run(100),                                                            // 7
        "goroutine trace show",                                              // 8
        gdb ? "inferior 1" : "target select 0",                              // 9
        "goroutine trace show",                                              // 10
        gdb ? "remove-inferiors 2" : "target delete 1",                      // 11
        run(100),                                                            // 12
        "goroutine trace show",                                              // 13
    };
  };
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    const auto session = run_script(debugger, program, script(debugger == Debugger::gdb));
    CHECK(traced(session[1]) == Counts{.grows = 5, .links = 0, .releases = 0, .shrinks = 0});
    CHECK(session[4] == "0 stack events; 0 lost; 0 stops; tracing is off\n");
    CHECK(event_lines(session[5]).empty());
    CHECK(traced(session[7]) == Counts{.grows = 0, .links = 0, .releases = 0, .shrinks = 4});
    CHECK(session[8].ends_with("4 stack events: 4 shrank; 4 others filtered out; 0 lost; 1 stop; tracing is on\n"));
    CHECK(session[10].ends_with("5 stack events: 5 grew; 5 others filtered out; 0 lost; 1 stop; tracing is on\n"));
    CHECK(traced(session[12]) == Counts{.grows = 4, .links = 0, .releases = 0, .shrinks = 0});
    CHECK(session[13].ends_with("4 stack events: 4 grew; 4 others filtered out; 0 lost; 1 stop; tracing is on\n"));
  }
}

TEST_CASE("a trace is off at once, and a process that is let go of runs on") {
  for (const auto debugger : kBoth) {
    CAPTURE(std::string(name_of(debugger)));
    auto child =
        Child::start({test_program("trace_load_O2"), "5000", "then"}, {.env = {"STACKTIDE_SHRINK=off"}, .folder = ""});
    child.wait_for_line("ready");
    const auto attach = debugger == Debugger::gdb ? fmt::format("attach {}", child.pid())
                                                  : fmt::format("process attach --pid {}", child.pid());
    const auto session =
        run_script(debugger, test_program("trace_load_O2"),
                   {attach, "goroutine trace on --stop", "goroutine trace on --bt", "goroutine trace on",
                    "goroutine trace off", debugger == Debugger::gdb ? "maint info breakpoints" : "breakpoint list",
                    "detach", "goroutine trace show", "goroutine trace on", "goroutine trace off"});
    CHECK(session[5].find("stacktide_") == std::string::npos);
    CHECK(session[7] == "0 stack events; 0 lost; 0 stops; tracing is off\n");
    CHECK(said(session[8]).starts_with("tracing stack events"));
    child.send_line("go on");
    child.wait_for_line("the runtime counted");
    CHECK(child.wait() == 0);
  }
}
