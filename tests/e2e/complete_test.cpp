// Completion in GDB: words, options, ids, functions; and help on the words that only debuggers have, in both.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/park.h"

using namespace stacktide::test;

namespace {

// What GDB offers for this line, each as the whole line.
std::string offers(const std::string& line, const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += line + word + "\n";
  return text;
}

}  // namespace

TEST_CASE("words, options, ids and functions are completed where they may stand") {
  auto park = Child::start({sample_program("park"), "150"});
  wait_until_parked(park);
  struct Case {
    std::string line;   // up to the word that is completed
    std::string begun;  // of it
    std::vector<std::string> words;
  };
  const std::vector<Case> cases = {
      {"goroutine ", "a", {"all", "apply", "audit"}},
      {"goroutine ", "ne", {"next"}},
      {"goroutine ", "fi", {"finish"}},
      {"goroutine help ", "ap", {"apply"}},
      {"goroutine apply ", "al", {"all"}},
      {"goroutine apply ", "15", {"15", "150", "151"}},
      {"goroutine apply 3 ", "-", {"-q", "-s"}},
      {"goroutine apply 3 -q ", "-", {"-s"}},
      {"goroutine apply 3 ", "stackm", {"stackmap"}},
      {"goroutine apply 3 -q ", "info loc", {"info locals"}},
      {"goroutine 3 ", "info loc", {"info locals"}},
      {"goroutine stack ", "14", {"14", "140", "141", "142", "143", "144", "145", "146", "147", "148", "149"}},
      {"goroutine stack ", "--", {"--json"}},
      {"goroutine history ", "--sp", {"--splits"}},
      {"goroutine prologue ", "park_", {"park_below"}},
      {"goroutine stackmap ", "work", {}},
      {"goroutine trace on --function ", "park_", {"park_below"}},
      {"goroutine trace on ", "--s", {"--size-above", "--stop"}},
  };
  std::vector<std::string> commands;
  for (const auto& one : cases) commands.push_back("complete " + one.line + one.begun);
  const GdbSession gdb(commands, {.arguments = {"-p", std::to_string(park.pid())}});
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(commands[i]);
    if (cases[i].words.empty()) {  // of libc there are such names too
      CHECK(gdb.at(i).find(cases[i].line + "worker\n") != std::string::npos);
    } else {
      CHECK(gdb.at(i) == offers(cases[i].line, cases[i].words));
    }
  }
}

TEST_CASE("of many ids those that begin so are offered, a hundred at most") {
  auto park = Child::start({sample_program("park"), "3000"});
  wait_until_parked(park);
  const GdbSession gdb({"complete goroutine stack 1", "complete goroutine stack 123"},
                       {.arguments = {"-p", std::to_string(park.pid())}});
  CHECK(lines_of(gdb.at(0)).size() == 100);
  CHECK(lines_of(gdb.at(1)).size() == 11);
}

TEST_CASE("without a program there are words and options") {
  const GdbSession gdb({"complete goroutine apply al", "complete goroutine prologue x", "complete goroutine list --us"});
  CHECK(gdb.at(0) == "goroutine apply all\n");
  CHECK(gdb.at(1) == "");
  CHECK(gdb.at(2) == "goroutine list --users\n");
}

TEST_CASE("help of the debuggers' own words has examples, as the host writes them") {
  const GdbSession gdb({"goroutine help apply", "goroutine help next", "goroutine help finish", "goroutine help"});
  const auto session = lldb({"goroutine help apply", "goroutine help next", "goroutine help finish", "goroutine help"});
  for (std::size_t i = 0; i < 3; ++i) {
    const auto of_lldb = session[i];
    auto expected = gdb.at(i);
    for (auto at = expected.find("(gdb)"); at != std::string::npos; at = expected.find("(gdb)"))
      expected.replace(at, 5, "(lldb)");
    CHECK(of_lldb == expected);
  }
  CHECK(gdb.at(0).starts_with("goroutine apply ID...|all CMD\n\nrun a command on several goroutines\n"));
  CHECK(gdb.at(0).find("examples:\n  (gdb) goroutine apply 3 5-9 bt\n  (gdb) goroutine apply all -s bt\n") !=
        std::string::npos);
  CHECK(gdb.at(1).ends_with("examples:\n  (gdb) goroutine next\n  (gdb) goroutine next 3\n"));
  CHECK(gdb.at(2).ends_with("examples:\n  (gdb) goroutine finish\n"));
  for (const auto& text : {gdb.at(3), session[3]}) {
    CHECK(text.find("\n  next [N]               run to the next line, ") != std::string::npos);
    CHECK(text.find("\n  finish                 run until the selected frame returns, ") != std::string::npos);
    CHECK(text.find("\n  apply ID...|all CMD    run a command on several goroutines\n") != std::string::npos);
  }
}
