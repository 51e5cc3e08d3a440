// `stacktide diff` on two moments of a real process, seen as cores, as lists, and as one of each: what a test made appear,
// vanish and grow, and nothing else; and the limits by which it is a leak check.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/park.h"
#include "support/source.h"
#include "support/stepper.h"

using namespace stacktide::test;
using nlohmann::json;

namespace {

Output diff(std::vector<std::string> words, std::string_view input = {}) {
  words.insert(words.begin(), {cli_program(), "diff"});
  return run_with_input(words, input);
}

// tests/programs/moments before and after: 2 of 8 servers end, 12 leaks begin, and one goroutine goes deeper on a larger
// stack.
struct Moments {
  Moments()
      : child(Child::start({test_program("moments_O2")}, {.env = {"STACKTIDE_MAXPROCS=1"}, .folder = "", .core = false})) {
    child.wait_for_line("ready 0");
    tell("serve 8", 8);
    before = look("before");
    tell("finish 2", 6);
    tell("leak 12", 18);
    tell("deepen", 18);
    after = look("after");
  }
  void tell(const std::string& command, int ready) {
    child.send_line(command);
    child.wait_for_line(fmt::format("ready {}", ready));
    // Its word arrives while it is still in libc's stdio.
    reading_thread(child.pid());
  }
  struct Files {
    std::string core, list, lines, stacks;
  };
  Files look(const std::string& name) {
    const auto file = [&](const std::string& kind, const std::vector<std::string>& words) {
      const auto path = folder / (name + "." + kind);
      std::ofstream(path) << cli_output(words, {"--pid", std::to_string(child.pid())});
      return path;
    };
    Files files;
    files.list = file("list", {"list", "--json"});
    files.lines = file("lines", {"list", "--json=lines"});
    files.stacks = file("stacks", {"bt", "all", "--json"});
    files.core = folder / (name + ".core");
    std::filesystem::rename(gcore(child.pid(), folder.path()), files.core);
    return files;
  }

  TempDir folder;
  Child child;
  Files before;
  Files after;
};

std::string line_of(std::string_view text) { return source_line("moments.cpp", text).place; }

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("two cores, two lists, or one of each: what came, went and grew, and nothing else") {
  Moments moments;
  const auto leak = line_of("never.recv()");
  const auto serve = line_of("requests.recv()");
  const std::string totals = "goroutines 10 -> 20 (+10), stacks 20,480 -> 47,104 bytes (+26,624)\n";
  const auto head = [](bool frames) {
    return fmt::format(
        "          change  old  new    bytes  state         function  file:line       {}entry    created by\n",
        frames ? "frames  " : "");
  };
  const auto row = [&](bool frames, std::string_view numbers, std::string_view function, std::string_view at, int depth,
                       std::string_view entry, std::string_view creator) {
    return fmt::format("{}  chan receive  {:<8}  {}  {}{:<7}  {}\n", numbers, function, at,
                       frames ? fmt::format("{:>6}  ", depth) : "", entry, creator);
  };
  const auto creator = [](std::string_view name, std::string_view call) {
    return fmt::format("{} ({})", name, line_of(call));
  };
  const auto expected = [&](bool frames) {
    const auto main = creator("main::{lambda}::operator()", "stacktide::go(shallow");
    return head(frames) +
           row(frames, "appeared     +12    0   12  +24,576", "leak", leak, 4, "leak",
               creator("start_leaks", "stacktide::go(leak")) +
           row(frames, "appeared      +1    0    1    +8192", "deep", line_of("end.recv()"), 47, "shallow", main) +
           row(frames, "vanished      -1    1    0    -2048", "shallow", line_of("begin.recv()"), 6, "shallow", main) +
           row(frames, "shrank        -2    8    6    -4096", "serve", serve, 4, "serve",
               creator("start_servers", "stacktide::go(serve")) +
           "\ngoroutine  bytes   old   new  state         function  file:line       entry\n" +
           fmt::format("        2  +6144  2048  8192  chan receive  deep      {}  shallow\n\n", line_of("end.recv()")) +
           (frames ? "" : "note: `list` has no frames: grouped by function, line, entry and state\n") + totals +
           fmt::format(
               "groups by {}: 2 appeared, 1 vanished, 0 grew, 1 shrank, 0 changed, 1 unchanged; 1 goroutine with a larger "
               "stack\n",
               frames ? "stack" : "function, line, entry and state");
  };
  const auto check = [&](const std::string& before, const std::string& after, bool frames, std::string_view input = {}) {
    const auto output = diff({before, after}, input);
    CAPTURE(before);
    CAPTURE(after);
    CHECK(output.err == "");
    CHECK(output.out == expected(frames));
    CHECK(output.exit_code == 0);
  };
  const auto& [before, after] = std::tie(moments.before, moments.after);
  check(before.core, after.core, true);
  check(before.stacks, after.stacks, true);
  check(before.core, after.stacks, true);
  check(before.list, after.list, false);
  check(before.lines, after.list, false);
  check(before.core, after.list, false);
  check(before.list, "-", false, text_of(after.lines));
  check("-", after.core, false, text_of(before.list));

  SUBCASE("by entry, filtered, limited, as JSON, with frames") {
    CHECK(diff({before.core, after.core, "--group", "entry", "--with", "entry=^shallow$"}).out ==
          "         change  old  new  bytes  entry    created by\n"
          "changed       0    1    1  +6144  shallow  " +
              creator("main::{lambda}::operator()", "stacktide::go(shallow") +
              "\n\ngoroutine  bytes   old   new  entry\n        2  +6144  2048  8192  shallow\n\n"
              "goroutines 1 -> 1 (0), stacks 2048 -> 8192 bytes (+6144)\n"
              "groups by entry: 0 appeared, 0 vanished, 0 grew, 0 shrank, 1 changed, 0 unchanged; 1 goroutine with a larger "
              "stack\n");
    CHECK(diff({before.core, after.core, "--top"}).out == [&] {
      auto text = expected(false);
      const auto note = text.find("note: ");
      return text.erase(note, text.find('\n', note) + 1 - note);
    }());
    const auto limited = diff({before.core, after.core, "--limit", "1", "--frames", "--without", "function=serve"}).out;
    CHECK(limited.find("2 groups more: --limit 0\n\n+12 appeared: leak (" + leak +
                       ") [chan receive], created by start_leaks (" + line_of("stacktide::go(leak") +
                       ")\n  #0 stacktide_gopark (switch.S:") != std::string::npos);
    CHECK(limited.find("shallow") != std::string::npos);  // of the goroutine that grew
    CHECK(diff({before.core, after.core, "--frames"}).out.find("\n  #3-42 deep (" + line_of("return deep(") + ")\n") !=
          std::string::npos);

    const auto output = diff({before.list, after.list, "--json", "--max-group-growth", "11"});
    CHECK(output.exit_code == 1);
    const auto document = json::parse(output.out);
    CHECK(document["schema"] == "stacktide-diff/1");
    CHECK(document["old"]["goroutines"] == 10);
    CHECK(document["old"]["pid"] == moments.child.pid());
    CHECK(document["new"]["stack_bytes"] == 47104);
    CHECK(document["grouped_by"] == "place");
    CHECK(document["groups"].size() == 4);
    const auto& first = document["groups"][0];
    CHECK(first["what"] == "appeared");
    CHECK(first["change"] == 12);
    CHECK(first["function"] == "leak");
    CHECK(first["created_by"][0]["function"] == "start_leaks");
    CHECK(first["created_by"][0]["count"] == 12);
    CHECK(document["grown_stacks"][0]["id"] == 2);
    CHECK(document["grown_stacks"][0]["new_size"] == 8192);
    CHECK(document["findings"][0]["limit"] == "max-group-growth");
    CHECK(document["findings"][0]["value"] == 12);
    CHECK(document["findings"][0]["group"]["function"] == "leak");
    CHECK(document["counts"]["groups_unchanged"] == 1);
  }
  SUBCASE("limits name the group that exceeded them") {
    const auto finding = [](const std::string& out) {
      const auto at = out.find("finding: ");
      return at == std::string::npos ? "" : out.substr(at, out.find("goroutines 10 -> ") - at);
    };
    const auto checked = [&](const std::string& limit, const std::string& value, int code, const std::string& found) {
      const auto output = diff({before.core, after.core, limit, value});
      CHECK(output.exit_code == code);
      CHECK(finding(output.out) == found);
    };
    const auto where =
        fmt::format("leak ({}) [chan receive], created by start_leaks ({})", leak, line_of("stacktide::go(leak"));
    checked("--max-new", "10", 0, "");
    checked("--max-new", "9", 1,
            "finding: 10 goroutines more than before, limit 9 (--max-new); most of all in " + where + ": +12\n");
    checked("--max-group-growth", "12", 0, "");
    checked("--max-group-growth", "11", 1,
            "finding: 12 goroutines more than before, limit 11 (--max-group-growth), in " + where + "\n");
    checked("--max-stack-growth", "26K", 0, "");
    checked("--max-stack-growth", "26623", 1,
            "finding: stacks: 26,624 bytes more than before, limit 26,623 (--max-stack-growth); most of all in " + where +
                ": +24,576\n");
    // Backwards everything gets less.
    CHECK(diff({after.core, before.core, "--max-new", "0", "--max-stack-growth", "0"}).exit_code == 0);
  }
  SUBCASE("a core that was cut short is a partial result") {
    const auto cut = moments.folder / "cut.core";
    std::filesystem::copy_file(after.core, cut);
    std::filesystem::resize_file(cut, std::filesystem::file_size(cut) - 4096);
    const auto output = diff({before.core, cut});
    CAPTURE(output.out);
    CHECK(output.exit_code == 3);
    CHECK(output.err.starts_with("stacktide: warning: " + cut + ": "));
    CHECK(output.err.find("cut short") != std::string::npos);
  }
}

TEST_CASE("two processes are compared by group, and said to be two") {
  const Park first(4);
  const Park second(6);
  const auto list = [](const Park& park) {
    const auto path = park.folder / "list.json";
    std::ofstream(path) << cli_output({"list", "--json"}, {"--pid", std::to_string(park.child.pid())});
    return path;
  };
  const auto output = diff({list(first), list(second), "--with", "status=waiting"});
  CHECK(output.exit_code == 0);
  const auto at = place_in_park("release.recv()");
  CHECK(output.out ==
        fmt::format(
            "      change  old  new  bytes  state         function                           file:line    entry            "
            "              created by\n"
            "grew      +2    4    6  +8192  chan receive  (anonymous namespace)::park_below  {}  (anonymous "
            "namespace)::worker  "
            "main::{{lambda}}::operator() ({})\n\n"
            "note: `list` has no frames: grouped by function, line, entry and state\n"
            "note: these are two processes, {} and {}: goroutines are not compared one by one\n"
            "goroutines 4 -> 6 (+2), stacks 12,288 -> 20,480 bytes (+8192)\n"
            "groups by function, line, entry and state: 0 appeared, 0 vanished, 1 grew, 0 shrank, 0 changed, 0 unchanged\n",
            at, place_in_park("stacktide::go(worker"), first.child.pid(), second.child.pid()));
}

TEST_CASE("two recordings of a program: what it spawned, left and copied") {
  TempDir folder;
  const auto recorded = [&](const std::string& goroutines) {
    const auto path = folder / (goroutines + ".stt");
    const auto output = run({cli_program(), "record", "--quiet", "-o", path, "--", sample_program("park"), goroutines},
                            kTimeout, {.env = {"STACKTIDE_SHRINK=off"}, .folder = "", .core = false});
    REQUIRE(output.exit_code == 0);
    return path;
  };
  // Depths 0, 1 and then 2, which needs 4 KiB.
  const auto second = recorded("3");
  const auto output = diff({recorded("2"), second});
  const auto growth = json::parse(run({cli_program(), "trace", "advise", second, "--json"}).out).at("all").at("growth");
  CHECK(output.err == "");
  CHECK(output.exit_code == 0);
  const auto rest = output.out.find("changed");
  REQUIRE(rest != std::string::npos);
  CHECK(output.out.substr(rest) ==
        fmt::format(
            "changed     0    0    0       +1      +1     +1   {:+}    +2048  (anonymous namespace)::worker  {}  "
            "main::{{lambda}}::operator() ({})\n\n"
            "left at the end: goroutines 0 -> 0 (0), stacks 0 -> 0 bytes (0)\n"
            "groups by entry and place of creation: 0 appeared, 0 vanished, 0 grew, 0 shrank, 1 changed, 1 unchanged\n",
            growth.at("bytes_copied").get<int>(), place_in_park("void worker("), place_in_park("stacktide::go(worker")));

  // samples/leak leaves some behind, and so more than before.
  const auto leak = folder / "leak.stt";
  REQUIRE(run({cli_program(), "record", "--quiet", "-o", leak, "--", sample_program("leak")}).exit_code == 0);
  const auto leaked = diff({recorded("3"), leak, "--max-new", "4"});
  CHECK(leaked.exit_code == 1);
  CHECK(leaked.out.find("finding: 5 goroutines more than before, limit 4 (--max-new); most of all in ") !=
        std::string::npos);
}

TEST_CASE("what makes no sense is refused in one line") {
  TempDir folder;
  const auto write = [&](const std::string& name, std::string_view text) {
    const auto path = folder / name;
    std::ofstream(path) << text;
    return path;
  };
  const auto refused = [](const std::vector<std::string>& words, const std::string& err) {
    const auto output = diff(words);
    CHECK(output.err == "stacktide: " + err + " (see help)\n");
    CHECK(output.out == "");
    CHECK(output.exit_code == 2);
  };
  const auto text = write("text", "no list");
  const auto other = write("other", "{\"a\": [1, {\"b\": -2.5}]}");
  const auto half = write("half", "{\"schema\":\"stacktide/1\",\"goroutines\":[{\"id\":1");
  const auto list = write("list", "{\"schema\":\"stacktide/1\",\"target\":{\"pid\":7},\"goroutines\":[]}");
  refused({}, "diff: wants two files: OLD NEW");
  refused({list}, "diff: wants two files: OLD NEW");
  refused({"-", "-"}, "diff: only one of both can be standard input");
  refused({text, list}, text + " is neither a core, nor the output of `list --json`, nor a recording");
  refused({other, list}, other + " is no output of `list --json`: it does not say \"schema\":\"stacktide/1\"");
  refused({list, list, "--group", "label"}, "diff: --group is entry or stack, not 'label'");
  refused({list, list, "--max-stack-growth", "4KB"},
          "diff: --max-stack-growth wants a size as in 65536, 64K or 1MiB, not '4KB'");
  refused({list, list, "--max-new", "-1"}, "diff: --max-new wants a number, not '-1'");
  refused({list, list, "--exe-new", "/bin/true"}, "diff: " + list + " is no core, which alone has an executable");
  const auto broken = diff({list, half});
  CHECK(broken.exit_code == 2);
  CHECK(broken.err.starts_with("stacktide: " + half + " is no output of `list --json`: at byte "));
  CHECK(diff({list, folder / "absent"}).exit_code == 2);
  // Whatever follows in a stream is looked at, and what a terminal would act on is not printed.
  CHECK(diff({list, write("more", "{\"schema\":\"stacktide/1\"} 5 true [] \"x\" {\"id\":[{}]}")}).exit_code == 0);
  CHECK(diff({list, write("deep", "{\"schema\":\"stacktide/1\"} " + std::string(100000, '['))}).exit_code == 2);
  const auto escape = diff({list, write("escape",
                                        "{\"id\":1,\"entry\":\"a\\u001b[1m\",\"stack\":{\"size\":2048}}\n"
                                        "{\"schema\":\"stacktide/1\",\"target\":{\"pid\":7}}")});
  CHECK(escape.exit_code == 0);
  CHECK(escape.out.starts_with("          change  old  new  bytes  "));
  CHECK(escape.out.find('\x1b') == std::string::npos);
  const auto none = diff({list, list});
  CHECK(none.out ==
        "goroutines 0 -> 0 (0), stacks 0 -> 0 bytes (0)\n"
        "groups by stack: 0 appeared, 0 vanished, 0 grew, 0 shrank, 0 changed, 0 unchanged; 0 goroutines with a larger "
        "stack\n");
  CHECK(none.exit_code == 0);
  CHECK(diff({"--help"}).out.starts_with("stacktide diff OLD NEW [OPTIONS]\n"));
}
