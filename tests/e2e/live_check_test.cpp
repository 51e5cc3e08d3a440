// `goroutine trace check`: rules on a live run, in batch GDB and batch LLDB, as README's recipes have it. What they say is
// what `stacktide trace check` says of a recording of the same program, but for what event rings do not tell.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "support/two_debuggers.h"

using namespace stacktide::test;

namespace {

constexpr const char* kRules = R"([[rule]]
name = "no hot splits"
metric = "hot_splits"
max = 0

[[rule]]
name = "stacks stay small"
metric = "largest_stack"
max = "64KiB"
)";

std::string written(const TempDir& folder, const std::string& name, const std::string& text) {
  std::ofstream(folder / name) << text;
  return folder / name;
}

// The same commands in either debugger, in batch mode.
Output batch(Debugger debugger, const std::vector<std::string>& commands, const std::vector<std::string>& program,
             const std::string& policy) {
  std::vector<std::string> words;
  if (debugger == Debugger::gdb) {
    words = {"gdb", "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off", "-ex", "source " + gdb_script()};
  } else {
    words = {"lldb-19", "--no-lldbinit", "--batch", "-o", "plugin load " STACKTIDE_BUILD_DIR "/lib/stacktide_lldb.so"};
  }
  for (const auto& command : commands) {
    words.emplace_back(debugger == Debugger::gdb ? "-ex" : "-o");
    words.push_back(command);
  }
  words.emplace_back(debugger == Debugger::gdb ? "--args" : "--");
  words.insert(words.end(), program.begin(), program.end());
  return run(words, Timeout{120'000}, {.env = {"STACKTIDE_POLICY=" + policy}, .folder = {}, .core = false});
}

// From the first line that begins so.
std::string from(const std::string& text, const std::string& start) {
  const auto at = text.find("\n" + start);
  return at == std::string::npos ? text : text.substr(at + 1);
}

const std::vector<std::string> kProgram = {sample_program("hot_split"), "--child", "segmented", "1000", "--count"};

}  // namespace

TEST_CASE(
    "a hot split fails the rule in both debuggers, names function, line and caller, and ends the batch with status 1") {
  const TempDir folder;
  const auto rules = written(folder, "rules.toml", kRules);
  const auto junit = folder / "stacks.xml";
  for (const auto debugger : {Debugger::gdb, Debugger::lldb}) {
    CAPTURE(std::string(name_of(debugger)));
    std::filesystem::remove(junit);
    const auto output = batch(
        debugger,
        {"goroutine trace on --quiet", "run", fmt::format("goroutine trace check --rules {} --junit {}", rules, junit)},
        kProgram, "segmented");
    CAPTURE(output.out);
    CHECK(output.exit_code == 1);
    const auto text = from(output.out, "FAIL");
    CHECK(
        text.starts_with("FAIL  no hot splits: hot_splits 1000, limit 0\n"
                         "      1000 hot splits in (anonymous namespace)::callee (hot_split.cpp:35), called from "
                         "(anonymous namespace)::caller<288> (hot_split.cpp:48): "));
    CHECK(text.find("\nok    stacks stay small: largest_stack 10 KiB (10240 bytes), limit 64 KiB (65536 bytes)\n") !=
          std::string::npos);
    CHECK(output.err.find("stacktide: 1 of 2 rules failed") != std::string::npos);
    // --quiet: nothing was printed for an event.
    CHECK(output.out.find(" linked ") == std::string::npos);
    std::stringstream xml;
    xml << std::ifstream(junit).rdbuf();
    CHECK(xml.str().find("<failure") != std::string::npos);
  }
}

TEST_CASE("where the rules hold, the status is 0") {
  const TempDir folder;
  const auto rules = written(folder, "rules.toml", kRules);
  for (const auto debugger : {Debugger::gdb, Debugger::lldb}) {
    CAPTURE(std::string(name_of(debugger)));
    const auto output = batch(debugger, {"goroutine trace on --quiet", "run", "goroutine trace check --rules " + rules},
                              kProgram, "contiguous");
    CAPTURE(output.out + output.err);
    CHECK(output.exit_code == 0);
    CHECK(from(output.out, "ok").starts_with("ok    no hot splits: hot_splits 0, limit 0\n"));
    CHECK(output.out.find(": 2 hold\n") != std::string::npos);
  }
}

TEST_CASE("where no rule fails, but not all events were looked at, the status is 1 too") {
  const TempDir folder;
  const auto rules = written(folder, "rules.toml", kRules);
  for (const auto debugger : {Debugger::gdb, Debugger::lldb}) {
    CAPTURE(std::string(name_of(debugger)));
    const auto output =
        batch(debugger, {"goroutine trace on --quiet --function nobody", "run", "goroutine trace check --rules " + rules},
              kProgram, "segmented");
    CAPTURE(output.out + output.err);
    CHECK(output.exit_code == 1);
    CHECK(output.err.find("stacktide: no rule failed, but not all events were seen: a rule may hold for want of them") !=
          std::string::npos);
  }
}

TEST_CASE("what event rings do not tell is refused by name; so are wrong words and rules") {
  const TempDir folder;
  const auto leaks = written(folder, "leaks.toml", "[[rule]]\nname = \"no leaks\"\nmetric = \"live_at_exit\"\nmax = 0\n");
  const auto wrong = written(folder, "wrong.toml", "[[rule]]\nname = \"x\"\nmetric = \"speed\"\nmax = 0\n");
  for (const auto debugger : {Debugger::gdb, Debugger::lldb}) {
    CAPTURE(std::string(name_of(debugger)));
    const auto says = [&](const std::vector<std::string>& commands, const std::string& text) {
      const auto output = batch(debugger, commands, kProgram, "contiguous");
      CAPTURE(output.out + output.err);
      CHECK(output.exit_code == 1);
      CHECK(output.err.find("stacktide: " + text) != std::string::npos);
    };
    says({"goroutine trace on --quiet", "run", "goroutine trace check --rules " + leaks},
         leaks + ":3:10: rule 'no leaks': no live_at_exit of the live trace");
    says({"goroutine trace on --quiet", "goroutine trace check --rules " + wrong}, wrong + ":3:10: ");
    says({"goroutine trace on --quiet", "goroutine trace check"}, "trace check: which rules? give --rules FILE; usage: ");
    says({"goroutine trace check --rules " + leaks}, "nothing was traced: goroutine trace on --quiet, then run");
    says({"goroutine trace on --quiet", "goroutine trace check --rules /nosuch.toml"}, "/nosuch.toml: ");
  }
}
