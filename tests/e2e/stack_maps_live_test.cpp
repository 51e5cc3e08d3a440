// Stack maps of real programs: what stackmap, whereis and audit say of samples/stale_pointer and samples/lookalikes, alike
// in the CLI, GDB and LLDB, live and on cores, with and without names, and when the executable is gone.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/park.h"

using namespace stacktide::test;

namespace {

Child waiting(const std::vector<std::string>& argv, bool core = false) {
  StartOptions options;
  options.core = core;
  // The monitor halves a stack that is large for what it uses, at any time: answers must not differ by that.
  options.env = {"STACKTIDE_SHRINK=off"};
  Child child = Child::start(argv, options);
  child.wait_for_line("ready");
  return child;
}

Child stale_pointer(bool core = false) { return waiting({sample_program("stale_pointer"), "--wait"}, core); }

std::vector<std::string> of(const Child& child) { return {"--pid", std::to_string(child.pid())}; }

Output cli(std::vector<std::string> words, const std::vector<std::string>& target) {
  words.insert(words.begin(), cli_program());
  words.insert(words.end(), target.begin(), target.end());
  return run(words);
}

nlohmann::json json_of(const std::vector<std::string>& words, const std::vector<std::string>& target) {
  auto with_json = words;
  with_json.emplace_back("--json");
  const auto output = cli(with_json, target);
  CAPTURE(output.err);
  REQUIRE(!output.out.empty());
  return nlohmann::json::parse(output.out);
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// The address that samples/stale_pointer kept, as the audit finds it in the global.
std::string kept_address(const std::vector<std::string>& target) {
  const auto audit = json_of({"audit"}, target);
  for (const auto& finding : audit.at("findings")) {
    if (finding.at("kind") == "data_to_freed_stack") return finding.at("value");
  }
  FAIL("the audit did not find the global");
  return "";
}

void check_stale(const std::vector<std::string>& target) {
  const auto audit = cli({"audit"}, target);
  CAPTURE(audit.out);
  CHECK(audit.exit_code == 1);
  const auto address = kept_address(target);
  CHECK(
      contains(audit.out, fmt::format("kept is {}: a stack that goroutine 2 left (growth); the object is at 0x", address)));
  CHECK(contains(audit.out, "make_stale (stale_pointer.cpp:"));
  CHECK(contains(audit.out, fmt::format("is {}: a stack that goroutine 2 left", address)));
  CHECK(contains(audit.out, " now (or `stale` was not set yet)\n"));
  CHECK(audit.out.ends_with("2 findings, 0 notes\n"));
  const auto whereis = cli({"whereis", address}, target);
  CAPTURE(whereis.out);
  CHECK(whereis.exit_code == 0);
  CHECK(whereis.out.starts_with(address + ": in a stack that goroutine 2 left: [0x"));
  CHECK(contains(whereis.out, "  left by  growth, event 0 of ring "));
  CHECK(contains(whereis.out, ": 2048 -> 4096 bytes, in "));
  CHECK(contains(whereis.out, "  now      the object is at 0x"));
  CHECK(contains(whereis.out, "make_stale (stale_pointer.cpp:"));
  CHECK(contains(whereis.out, "variable `answer` (long"));
  const auto map = cli({"stackmap", "2"}, target);
  CAPTURE(map.out);
  CHECK(contains(map.out, " = rsp+"));
  const auto lines = lines_of(map.out);
  const auto line = std::ranges::find_if(lines, [](const std::string& one) { return contains(one, "  stale  "); });
  REQUIRE(line != lines.end());
  CHECK(line->starts_with("  CFA"));
  CHECK(contains(*line, fmt::format("  pointer         {}  stale   long*  ! -> a stack that goroutine 2 left (growth); the "
                                    "object is at 0x",
                                    address)));
}

}  // namespace

TEST_CASE("a pointer past a move is found by audit and explained by whereis, live and on a core") {
  Child child = stale_pointer(true);
  check_stale(of(child));
  const auto core = make_core(child);
  check_stale({"--core", core});
}

TEST_CASE("GDB and LLDB say what the command line says") {
  Child child = stale_pointer();
  const auto target = of(child);
  const auto address = kept_address(target);
  const auto audit = cli({"audit"}, target).out;
  const auto whereis = cli({"whereis", address}, target).out;
  const auto map = cli({"stackmap", "2"}, target).out;
  const auto function = cli({"stackmap", "make_stale"}, target).out;
  CHECK(contains(function, "make_stale in stale_pointer: "));
  const std::vector<std::string> commands = {"goroutine audit", "goroutine whereis " + address, "goroutine stackmap 2",
                                             "goroutine 2 stackmap", "goroutine stackmap make_stale"};
  const std::vector<std::string> expected = {audit, whereis, map, map, function};
  {
    const GdbSession gdb(commands, {.arguments = {"-p", target[1]}});
    CAPTURE(gdb.all());
    for (std::size_t i = 0; i < commands.size(); ++i) CHECK(gdb.at(i) == expected[i]);
  }
  auto in_lldb = commands;
  in_lldb.insert(in_lldb.begin(), "process attach --pid " + target[1]);
  const auto session = lldb(in_lldb);
  CAPTURE(session.err);
  for (std::size_t i = 0; i < commands.size(); ++i) CHECK(session[i + 1] == expected[i]);
}

TEST_CASE("numbers that equal addresses of their own stack are notes, each by its name") {
  Child child = waiting({sample_program("lookalikes"), "4", "--wait"});
  const auto audit = json_of({"audit"}, of(child));
  CHECK(audit.at("findings").empty());
  std::size_t longs = 0;
  std::size_t doubles = 0;
  for (const auto& note : audit.at("notes")) {
    CHECK(note.at("kind") == "lookalike");
    const std::string variable = note.at("variable");
    longs += variable.starts_with("longs") ? 1 : 0;
    doubles += variable.starts_with("doubles") ? 1 : 0;
  }
  // Eight words from 64 bytes below the end of the stack on; the longs after them lie above it.
  CHECK(longs == 8);
  CHECK(doubles == 8);
  CHECK(cli({"audit"}, of(child)).exit_code == 0);
}

TEST_CASE("frames by records equal frames by CFI at every level, and nothing is found that is right") {
  for (const auto& program : {test_program("park_O0"), test_program("park_O2")}) {
    CAPTURE(program);
    Park park(64, program);
    const auto audit = json_of({"audit"}, of(park.child));
    INFO(audit.dump(1));
    CHECK(audit.at("findings").empty());
    CHECK(audit.at("counts").at("goroutines").at("read") == 65);
    CHECK(audit.at("counts").at("recorded").get<int>() > 64 * 16);
    CHECK(audit.at("partial").empty());
  }
}

TEST_CASE("a stripped program has kinds without names; a separate debug file has them") {
  TempDir folder;
  const auto program = folder / "stale_pointer";
  REQUIRE(run({"objcopy", "--only-keep-debug", sample_program("stale_pointer"), folder / "stale.debug"}).exit_code == 0);
  REQUIRE(run({"strip", "-s", "-o", program, sample_program("stale_pointer")}).exit_code == 0);
  {
    Child child = waiting({program, "--wait"});
    const auto frames = json_of({"stackmap", "2"}, of(child)).at("goroutines").at(0).at("frames");
    std::size_t pointers = 0;
    for (const auto& frame : frames) {
      for (const auto& word : frame.at("words")) {
        CHECK(word.at("variable") == "");
        pointers += word.at("kind") == "pointer" ? 1 : 0;
      }
    }
    CHECK(pointers > 0);
    const auto map = cli({"stackmap", "2"}, of(child)).out;
    CAPTURE(map);
    CHECK_FALSE(contains(map, "interrupted"));
    CHECK(contains(map, "  -> code stacktide_movable of stale_pointer\n"));
    const auto audit = cli({"audit"}, of(child)).out;
    CAPTURE(audit);
    CHECK(contains(audit, ": a pointer at CFA-"));
    CHECK_FALSE(contains(audit, "no record"));
  }
  REQUIRE(run({"objcopy", "--add-gnu-debuglink=" + (folder / "stale.debug"), program}).exit_code == 0);
  Child child = waiting({program, "--wait"});
  CHECK(contains(cli({"stackmap", "2"}, of(child)).out, "  stale  "));
}

TEST_CASE("on a core without its executable the error says what to give, and with it all is there") {
  TempDir folder;
  const auto program = folder / "stale_pointer";
  std::filesystem::copy_file(sample_program("stale_pointer"), program);
  Child child = waiting({program, "--wait"}, true);
  const auto core = make_core(child);
  const auto kept = folder / "kept";
  std::filesystem::rename(program, kept);
  const auto gone = cli({"stackmap", "2"}, {"--core", core});
  CAPTURE(gone.err);
  // A core by gcore has the maps' pages.
  if (gone.exit_code == 2) {
    CHECK(
        contains(gone.err, fmt::format("the stack maps are not in the target's memory, and {} is gone: give the executable "
                                       "with --exe\n",
                                       program)));
  }
  CHECK(contains(cli({"stackmap", "2"}, {"--core", core, "--exe", kept}).out, "  stale  "));
}
