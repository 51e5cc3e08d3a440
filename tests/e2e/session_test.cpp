// One script, run in GDB and in LLDB, on a live process and on its core: every command of the table, the words that
// debuggers add, and their errors.
//
// What a command of core's table prints is what the shell prints, to the byte; so that is asked for once. Errors are
// compared with text that stands here. In both debuggers a failed command is one line, after `stacktide: ` (LLDB puts
// `error: ` before it), and the script goes on.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <regex>
#include <sstream>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/park.h"
#include "support/process.h"
#include "support/sched_text.h"

using namespace stacktide::test;

namespace {

struct Subject {
  std::string program;
  std::vector<std::string> shell;  // as the command line names the target
  std::string lldb;                // LLDB's first command
};

std::string trimmed(std::string text) {
  while (text.ends_with('\n') || text.ends_with(' ')) text.pop_back();
  return text;
}

std::vector<std::string> in_gdb(const Subject& subject, const std::vector<std::string>& script) {
  std::vector<std::string> arguments = {subject.program};
  for (const auto& word : subject.shell) {
    if (!word.starts_with("--")) arguments.push_back(word);
  }
  const GdbSession session(script, {.arguments = arguments});
  std::vector<std::string> blocks;
  for (std::size_t i = 0; i < script.size(); ++i) blocks.push_back(trimmed(session.at(i)));
  return blocks;
}

// Batch mode would end at the first error, so commands run through the interpreter, which gives output and errors.
std::vector<std::string> in_lldb(const Subject& subject, const std::vector<std::string>& script) {
  std::vector<std::string> commands = {subject.lldb, "script result = lldb.SBCommandReturnObject()"};
  for (const auto& command : script) {
    commands.push_back(
        fmt::format("script result.Clear(); _ = lldb.debugger.GetCommandInterpreter().HandleCommand('''{}''', result); "
                    "print(result.GetOutput() + result.GetError())",
                    command));
  }
  const auto session = lldb(commands);
  std::vector<std::string> blocks;
  for (std::size_t i = 0; i < script.size(); ++i)
    blocks.push_back(
        trimmed(std::regex_replace(session[i + 2], std::regex("(^|\n)(error|warning): (?=stacktide: )"), "$1")));
  return blocks;
}

std::string in_shell(const Subject& subject, const std::string& command) {
  std::vector<std::string> words = {cli_program()};
  std::istringstream in(command);
  std::string word;
  in >> word;  // "goroutine", or "info", of which `info goroutines` is `goroutine list`
  if (word == "info") {
    in >> word;
    words.push_back("list");
  }
  while (in >> word) words.push_back(std::regex_replace(word, std::regex("'"), ""));
  words.insert(words.end(), subject.shell.begin(), subject.shell.end());
  return trimmed(run(words).out);
}

// `goroutine 3 stack` is `stack 3`.
std::string id_last(const std::string& command) {
  return std::regex_replace(command, std::regex("^goroutine ([0-9]+) (\\w+)"), "goroutine $2 $1");
}

// A mark stands before the goroutine that a debugger's prompt looks at; the target's name is the asker's.
std::string plain(std::string text) {
  std::ranges::replace(text, '*', ' ');
  text = std::regex_replace(text, std::regex("(target +|^)(process|core)[^\n:]*"), "$1TARGET");
  text = std::regex_replace(text, std::regex("\"target\":\\{[^}]*\\}"), "TARGET");
  text = std::regex_replace(text, std::regex("\"wait_ns\":[0-9]+"), "WAIT");
  return text;
}

const std::vector<std::string> kTable = {
    "info goroutines",
    "goroutine list",
    "goroutine list --limit 2",
    "goroutine list --sort -used --limit 3",
    "goroutine list --with wait_reason=receive --without label=1$",
    "goroutine list --users",
    "goroutine list --system",
    "goroutine list --group status",
    "goroutine list --group entry",
    "goroutine list --group stack",
    "goroutine bt 3",
    "goroutine bt 3 --limit 2",
    "goroutine bt all",
    "goroutine stack 4",
    "goroutine 4 stack",
    "goroutine stackmap 3",
    "goroutine 3 stackmap --frame 1",
    "goroutine stackmap park_below",
    "goroutine prologue park_below",
    "goroutine history",
    "goroutine history 6",
    "goroutine history --splits",
    "goroutine audit",
    "goroutine runtime",
    "goroutine sched",
    "goroutine list --json",
    "goroutine stack 4 --json",
};

// What each says, in all four sessions.
const std::vector<std::pair<std::string, std::string>> kErrors = {
    {"goroutine 99", "stacktide: no goroutine 99: there are 9, with ids from 1 to 9"},
    {"goroutine 99 bt", "stacktide: no goroutine 99: there are 9, with ids from 1 to 9"},
    {"goroutine stack 99", "stacktide: no goroutine 99: there are 9, with ids from 1 to 9"},
    {"goroutine bt 99", "stacktide: no goroutine 99: there are 9, with ids from 1 to 9"},
    {"goroutine bt x", "stacktide: bt: 'x' is not the id of a goroutine (see help)"},
    {"goroutine frobnicate", "stacktide: no goroutine command \"frobnicate\"; try: goroutine help"},
    {"goroutine all", "stacktide: goroutine all needs a command, as in: goroutine all bt"},
    {"goroutine apply", "stacktide: apply: which goroutines? ids, ranges as 3-7, or all (see help)"},
    {"goroutine apply 3-5", "stacktide: apply: which command? (see help)"},
    {"goroutine apply 5-3 bt", "stacktide: apply: the range 5-3 is empty (see help)"},
    {"goroutine 3 audit", "stacktide: goroutine audit is not about one goroutine: it takes no id before it"},
    {"goroutine list --bogus", "stacktide: list: no option --bogus (see help)"},
    {"goroutine list --limit many", "stacktide: list: --limit wants a number, not 'many' (see help)"},
    {"goroutine list --users --system", "stacktide: list: --users and --system exclude each other (see help)"},
    {"goroutine list --group colour", "stacktide: list: --group is status, entry or stack, not 'colour' (see help)"},
    {"goroutine list extra", "stacktide: list: 'extra' is one argument too many (see help)"},
    {"goroutine history x", "stacktide: history: 'x' is not the id of a goroutine (see help)"},
    {"goroutine history 3 --splits",
     "stacktide: history: splits are not counted by goroutine: --splits takes no id (see help)"},
    {"goroutine stackmap no_such", "stacktide: stackmap: no function with stack checks matches 'no_such' (see help)"},
    {"goroutine stackmap park_below --frame 1", "stacktide: stackmap: --frame goes with the id of a goroutine (see help)"},
    {"goroutine prologue", "stacktide: prologue: of which function? give its name or an address (see help)"},
    {"goroutine whereis", "stacktide: whereis: which address? (see help)"},
    {"goroutine whereis here", "stacktide: whereis: 'here' is not an address (see help)"},
    {"goroutine next often", "stacktide: goroutine next takes how many lines, as in: goroutine next 3"},
    {"goroutine finish now", "stacktide: goroutine finish takes no arguments: it is about the selected frame"},
};

void check_debugger(const std::string& name, const Subject& subject,
                    std::vector<std::string> (*session)(const Subject&, const std::vector<std::string>&),
                    const std::map<std::string, std::string>& shell) {
  CAPTURE(name);
  std::vector<std::string> script = kTable;
  for (const auto& [command, text] : kErrors) script.push_back(command);
  script.emplace_back("goroutine list --limit 2");  // usable after all of that
  const auto blocks = session(subject, script);
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    CAPTURE(kTable[i]);
    if (kTable[i] == "goroutine sched") {
      CHECK(alike(blocks[i]) == alike(shell.at(kTable[i])));
    } else {
      CHECK(plain(blocks[i]) == plain(shell.at(kTable[i])));
    }
  }
  for (std::size_t i = 0; i < kErrors.size(); ++i) {
    CAPTURE(kErrors[i].first);
    CHECK(blocks[kTable.size() + i] == kErrors[i].second);
  }
  CHECK(blocks.back() == blocks[2]);
}

void check(const Subject& subject) {
  std::map<std::string, std::string> shell;
  for (const auto& command : kTable) {
    shell[command] = in_shell(subject, id_last(command));
    CAPTURE(command);
    CHECK(!shell[command].empty());
  }
  check_debugger("GDB", subject, in_gdb, shell);
  check_debugger("LLDB", subject, in_lldb, shell);
}

}  // namespace

TEST_CASE("one script in both debuggers, on a live process") {
  Park park(8);
  const auto pid = std::to_string(park.child.pid());
  check({sample_program("park"), {"--pid", pid}, "process attach --pid " + pid});
}

TEST_CASE("one script in both debuggers, on a core") {
  Park park(8);
  const auto core = make_core(park.child);
  check({sample_program("park"), {"--core", core}, fmt::format("target create --core {} {}", core, sample_program("park"))});
}
