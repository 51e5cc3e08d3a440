// stackmap, whereis and audit on cores, alike in the CLI, GDB and LLDB: what they print, what they refuse and in which
// words, and what they make of programs without maps. And that both debuggers' help and completion have them.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "stacktide/core/command.h"
#include "stacktide/stack_map.h"
#include "support/gdb.h"
#include "support/lldb.h"
#include "support/process.h"

using namespace stacktide::test;

namespace {

Child waiting(const std::string& program, bool core = false) {
  StartOptions options;
  options.core = core;
  Child child = Child::start({program, "--wait"}, options);
  child.wait_for_line("ready");
  return child;
}

Output cli(const std::string& command, const std::vector<std::string>& target) {
  std::vector<std::string> argv = {cli_program()};
  std::istringstream words(command);
  for (std::string word; words >> word;) argv.push_back(word);
  argv.insert(argv.end(), target.begin(), target.end());
  return run(argv);
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// What one LLDB answers to commands that fail: each error, without "error: ". A sourced file goes on after an error.
std::vector<std::string> lldb_errors(const std::string& open, const std::vector<std::string>& commands) {
  const TempDir folder;
  const auto file = folder / "commands";
  std::ofstream lines(file);
  for (const auto& command : commands) lines << "goroutine " << command << "\n";
  lines.close();
  const auto session = lldb({open, "command source --stop-on-error false " + file});
  CAPTURE(session.out);
  std::vector<std::string> errors;
  for (const auto& line : lines_of(session.err)) {
    if (line.starts_with("error: ")) errors.push_back(line.substr(7));
  }
  return errors;
}

std::vector<std::string> of_goroutine(const std::vector<std::string>& commands) {
  std::vector<std::string> all;
  for (const auto& command : commands) all.push_back("goroutine " + command);
  return all;
}

struct Refused {
  std::string command, why;
};

// The same words in all three: "stacktide: WHY" on stderr, exit code 2 and no output.
void check_refused(const std::vector<Refused>& cases, const std::vector<std::string>& target,
                   const std::vector<std::string>& in_gdb, const std::string& in_lldb) {
  std::vector<std::string> commands;
  for (const auto& one : cases) commands.push_back(one.command);
  const GdbSession gdb(of_goroutine(commands), {.arguments = in_gdb});
  const auto errors = lldb_errors(in_lldb, commands);
  REQUIRE(errors.size() == cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(cases[i].command);
    const auto output = cli(cases[i].command, target);
    CHECK(output.exit_code == 2);
    CHECK(output.out == "");
    const auto first = output.err.find("stacktide: ");  // after what a live process was stopped for
    REQUIRE(first != std::string::npos);
    CHECK(output.err.substr(first) == "stacktide: " + cases[i].why + "\n");
    CHECK(gdb.at(i) == "stacktide: " + cases[i].why + "\n");
    CHECK(errors[i] == "stacktide: " + cases[i].why);
  }
}

// A copy of the sample whose maps are there and say nothing.
void copy_with_empty_maps(const std::string& to) {
  std::ifstream file(sample_program("stale_pointer"), std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  stacktide_maps_header header{};
  header.magic = STACKTIDE_MAPS_MAGIC;
  header.version = STACKTIDE_MAPS_VERSION;
  header.header_size = sizeof header;
  const auto start = std::string_view(reinterpret_cast<const char*>(&header), offsetof(stacktide_maps_header, size));
  const auto at = bytes.find(start);
  REQUIRE(at != std::string::npos);
  REQUIRE(bytes.find(start, at + 1) == std::string::npos);
  std::memcpy(&header, bytes.data() + at, sizeof header);
  header.region_count = header.site_count = header.pinned = 0;
  std::memcpy(bytes.data() + at, &header, sizeof header);
  std::ofstream(to, std::ios::binary) << bytes;
  std::filesystem::permissions(to, std::filesystem::perms::owner_all);
}

}  // namespace

TEST_CASE("on a core GDB and LLDB print what the command line prints") {
  const auto program = sample_program("stale_pointer");
  Child child = waiting(program, true);
  const auto core = make_core(child);
  const std::vector<std::string> target = {"--core", core};
  const auto audit = nlohmann::json::parse(cli("audit --json", target).out);
  const auto kept =
      std::ranges::find(audit.at("findings"), "data_to_freed_stack", [](const auto& one) { return one.at("kind"); });
  REQUIRE(kept != audit.at("findings").end());
  const std::string address = kept->at("value");
  const std::vector<std::string> commands = {"stackmap 2", "whereis " + address, "audit", "stackmap make_stale",
                                             "stackmap 2 --frame 2 --all"};
  std::vector<std::string> expected;
  for (const auto& command : commands) expected.push_back(cli(command, target).out);
  CHECK(contains(expected[0], "  stale   long*  ! -> a stack that goroutine 2 left (growth); the object is at 0x"));
  CHECK(expected[2].ends_with("2 findings, 0 notes\n"));
  auto in_gdb = of_goroutine(commands);
  // The goroutine that is selected is meant where none is named.
  in_gdb.insert(in_gdb.end(), {"goroutine 2", "goroutine stackmap", "goroutine 2 stackmap", "goroutine all stackmap"});
  const GdbSession gdb(in_gdb, {.arguments = {program, core}});
  for (std::size_t i = 0; i < commands.size(); ++i) CHECK(gdb.at(i) == expected[i]);
  CHECK(gdb.at(commands.size() + 1) == expected[0]);
  CHECK(gdb.at(commands.size() + 2) == expected[0]);
  CHECK(gdb.at(commands.size() + 3).ends_with(":\n" + expected[0]));

  auto in_lldb = in_gdb;
  in_lldb.insert(in_lldb.begin(), "target create --core " + core + " " + program);
  const auto session = lldb(in_lldb);
  CAPTURE(session.err);
  for (std::size_t i = 0; i < commands.size(); ++i) CHECK(session[i + 1] == expected[i]);
  CHECK(session[commands.size() + 2] == expected[0]);
  CHECK(session[commands.size() + 3] == expected[0]);
  CHECK(session[commands.size() + 4].ends_with("\n" + expected[0]));
}

TEST_CASE("what cannot be done is refused in the same words everywhere") {
  const auto program = sample_program("stale_pointer");
  Child child = waiting(program, true);
  const auto core = make_core(child);
  const std::vector<std::string> target = {"--core", core};
  const auto map = nlohmann::json::parse(cli("stackmap 2 --json", target).out);
  const int levels = map.at("goroutines").at(0).at("frames").back().at("level").get<int>() + 1;
  check_refused(
      {
          {"whereis", "whereis: which address? (see help)"},
          {"whereis kept", "whereis: 'kept' is not an address (see help)"},
          {"whereis 0x", "whereis: '0x' is not an address (see help)"},
          {"whereis 0x123456789abcdef01", "whereis: '0x123456789abcdef01' is not an address (see help)"},
          {"whereis 0x10 0x20", "whereis: '0x20' is one argument too many (see help)"},
          {"whereis 0x10 --all", "whereis: no option --all (see help)"},
          {"stackmap 99", "no goroutine 99: there are 2, with ids from 1 to 2"},
          {"stackmap no_such_function", "stackmap: no function with stack checks matches 'no_such_function' (see help)"},
          {"stackmap 0x10", "stackmap: 0x10 lies in no function with stack checks (see help)"},
          {"stackmap 2 3", "stackmap: '3' is one argument too many (see help)"},
          {"stackmap 2 --bogus", "stackmap: no option --bogus (see help)"},
          {"stackmap 2 --frame", "stackmap: --frame wants N (see help)"},
          {"stackmap 2 --frame x", "stackmap: --frame wants a number, not 'x' (see help)"},
          {"stackmap 2 --frame 99", fmt::format("stackmap: goroutine 2 has no frame 99, only {} (see help)", levels)},
          {"stackmap make_stale --frame 1", "stackmap: --frame goes with the id of a goroutine (see help)"},
          {"audit 2", "audit: '2' is one argument too many (see help)"},
          {"audit --frame=1", "audit: no option --frame (see help)"},
          {"audit --all=1", "audit: --all takes no value (see help)"},
      },
      target, {program, core}, "target create --core " + core + " " + program);
  // A debugger has a thread that it looks at; the command line has none.
  CHECK(cli("stackmap", target).err == "stacktide: stackmap: which goroutine? give its id (see help)\n");
  // No memory is there: that is an answer.
  const auto absent = cli("whereis 0x10", target);
  CHECK(absent.out == "0x10: absent: not mapped, or left out of the core\n");
  CHECK(absent.exit_code == 1);
  const std::string not_one = "stacktide: goroutine audit is not about one goroutine: it takes no id before it";
  const GdbSession gdb({"goroutine 2 audit", "goroutine 2 whereis 0x10"}, {.arguments = {program, core}});
  CHECK(gdb.at(0) == not_one + "\n");
  CHECK(gdb.at(1) == "stacktide: goroutine whereis is not about one goroutine: it takes no id before it\n");
  const auto errors = lldb_errors("target create --core " + core + " " + program, {"2 audit", "all audit"});
  CHECK(errors == std::vector{not_one, not_one});
}

TEST_CASE("a program without the runtime has nothing to look into") {
  const Child sleeper = Child::start({"sleep", "300"});
  const auto pid = std::to_string(sleeper.pid());
  const auto path = std::filesystem::read_symlink("/proc/" + pid + "/exe").string();
  const auto why = fmt::format(
      "no goroutine runtime in process {} ({}) (build the program with stacktide_goroutines(target))", pid, path);
  check_refused({{"stackmap 2", why}, {"stackmap main", why}, {"whereis 0x10", why}, {"audit", why}}, {"--pid", pid},
                {"-p", pid}, "process attach --pid " + pid);
}

TEST_CASE("with maps that are empty all is scanned, and said to be") {
  const TempDir folder;
  const auto program = folder / "stale_pointer";
  copy_with_empty_maps(program);
  Child child = waiting(program, true);
  const auto core = make_core(child);
  const std::vector<std::string> target = {"--core", core};
  const auto map = cli("stackmap 2", target);
  CAPTURE(map.out);
  CHECK(map.exit_code == 3);
  CHECK(map.err.starts_with("stacktide: warning: stack maps: names for "));
  CHECK(map.err.ends_with(" sites, of 0\n"));
  CHECK_FALSE(contains(map.out, "CFA"));
  for (const auto& line : lines_of(map.out))
    CHECK((line.ends_with(" bytes, no record") || line.starts_with("goroutine 2 [")));
  const auto audit = cli("audit", target);
  CHECK(contains(audit.out, "its frame has no record: all of its words are scanned when the stack moves\n"));
  CHECK(contains(audit.out, "kept is 0x"));  // data is looked at all the same
  const GdbSession gdb({"goroutine stackmap 2", "goroutine stackmap make_stale"}, {.arguments = {program, core}});
  CHECK(gdb.at(0) == map.out + map.err);
  CHECK(gdb.at(1) == "stacktide: stackmap: no function with stack checks matches 'make_stale' (see help)\n");
}

TEST_CASE("help and completion have the commands, in both debuggers") {
  const GdbSession gdb({"goroutine help", "help goroutine", "complete goroutine stackm", "complete goroutine wh",
                        "complete goroutine au", "complete goroutine stackmap --", "complete goroutine whereis --",
                        "complete goroutine audit --", "complete goroutine 2 stackm", "complete goroutine 2 audi",
                        "goroutine help stackmap"});
  const auto session = lldb({"goroutine help", "goroutine help stackmap"});
  int found = 0;
  for (const auto& command : stacktide::commands()) {
    if (command.name != "stackmap" && command.name != "whereis" && command.name != "audit") continue;
    ++found;
    const auto row = [&](const std::string& line) {
      return line.starts_with(fmt::format("  {} {}", command.name, command.arguments)) && line.ends_with(command.summary);
    };
    CHECK(std::ranges::count_if(lines_of(gdb.at(0)), row) == 1);
    CHECK(std::ranges::count_if(lines_of(session[0]), row) == 1);
    CHECK(contains(gdb.at(1), fmt::format("|{}|", command.name)));
  }
  CHECK(found == 3);
  CHECK(gdb.at(2) == "goroutine stackmap\n");
  CHECK(gdb.at(3) == "goroutine whereis\n");
  CHECK(gdb.at(4) == "goroutine audit\n");
  CHECK(gdb.at(5) == "goroutine stackmap --all\ngoroutine stackmap --frame\ngoroutine stackmap --json\n");
  CHECK(gdb.at(6) == "goroutine whereis --as\ngoroutine whereis --json\n");
  CHECK(gdb.at(7) == "goroutine audit --all\ngoroutine audit --json\ngoroutine audit --waiting\n");
  CHECK(gdb.at(8) == "goroutine 2 stackmap\n");
  CHECK(gdb.at(9) == "");
  CHECK(contains(gdb.at(10), "(gdb) goroutine stackmap 7 --frame 3\n"));
  CHECK(session[1].starts_with("goroutine stackmap [ID|FUNC|PC] [OPTIONS]\n"));
}
