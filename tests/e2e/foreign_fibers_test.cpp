// samples/foreign_fibers, whose runtime is not ours: the same text in the CLI, GDB and LLDB, live and on a kernel core.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/stepper.h"

using namespace stacktide::test;

namespace {

std::string program() { return sample_program("foreign_fibers"); }

Child started() {
  StartOptions options;
  options.core = true;
  Child child = Child::start({program()}, options);
  child.wait_for_line("ready");
  reading_thread(child.pid());
  return child;
}

Output cli(std::vector<std::string> words, const std::vector<std::string>& target) {
  words.insert(words.begin(), cli_program());
  words.insert(words.end(), target.begin(), target.end());
  return run(words);
}

// The number of the first line of a source of the sample that holds this text.
int line_of(const std::string& file, std::string_view text) {
  std::ifstream source(STACKTIDE_SOURCE_DIR "/samples/foreign_fibers/" + file);
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    if (line.find(text) != std::string::npos) return number;
  }
  FAIL("no '", text, "' in ", file);
  return 0;
}

std::string at_main(std::string_view text) { return fmt::format("main.cpp:{}", line_of("main.cpp", text)); }
std::string waits() { return at_main("fibers::wait(input_ended);"); }
std::string calls() { return at_main("return wait_below"); }

// Addresses and stack sizes in use differ from compiler to compiler: "0x#" and, of columns, one blank between two.
std::string without_addresses(const std::string& text) {
  return std::regex_replace(std::regex_replace(text, std::regex("0x[0-9a-f]+"), "0x#"), std::regex(" +"), " ");
}

std::string expected_list(const std::string& used) {
  std::string text = " id status wait-reason function file:line size used headroom grows label\n";
  for (int id = 1; id <= 10; ++id) {
    text += fmt::format(" {} waiting event (anonymous namespace)::wait_below {} 65536 {} ? ? reader {}\n", id, waits(), used, id - 1);
  }
  text += fmt::format(" 11 waiting join (anonymous namespace)::joiner {} 65536 {} ? ? joiner\n", at_main("void joiner"), used);
  text += fmt::format(" 12 running (anonymous namespace)::input {} 65536 {} ? ? input\n", at_main("read(STDIN"), used);
  text += fmt::format(" 13 runnable (anonymous namespace)::late {} 65536 {} ? ? late\n", at_main("void late"), used);
  return text + "13 goroutines: 11 waiting, 1 runnable, 1 running\n";
}

std::string used_hidden(const std::string& list) { return std::regex_replace(list, std::regex("65536 [0-9]+"), "65536 U"); }

// In debuggers, the fiber that runs on the selected thread is marked, and the column for the mark is one wider.
bool is_expected_list(const std::string& in_debugger) {
  const auto text = used_hidden(without_addresses("\n" + in_debugger));
  const auto without_mark = std::regex_replace(text, std::regex("\n\\* 12 "), "\n 12 ");
  return without_mark != text && without_mark == "\n" + expected_list("U");
}

void check_frames(const std::vector<std::string>& target) {
  const auto bt = cli({"bt", "4"}, target);
  CHECK(bt.exit_code == 0);
  const auto lines = lines_of(bt.out);
  REQUIRE(lines.size() == 10);
  CHECK(lines[0] == "goroutine 4 [event]:");
  CHECK(lines[2].find(" in fibers::wait (event=0x") != std::string::npos);
  const auto folder = std::string(STACKTIDE_SOURCE_DIR "/samples/foreign_fibers/");
  // The argument lies in a register that only the saved context has.
  for (int depth = 0; depth <= 3; ++depth) {
    CAPTURE(depth);
    CHECK(lines[3 + static_cast<std::size_t>(depth)].ends_with(fmt::format(
        "  in (anonymous namespace)::wait_below (depth={}) at {}{}", depth, folder, depth == 0 ? waits() : calls())));
  }
  CHECK(lines[7].find(" in (anonymous namespace)::reader (argument=") != std::string::npos);
  CHECK(lines[8].find(" in fibers::(anonymous namespace)::fibers_body at ") != std::string::npos);
  CHECK(lines[9].ends_with("  in fibers_begin"));
  const auto late = lines_of(cli({"bt", "13"}, target).out);
  REQUIRE(late.size() == 3);
  CHECK(late[2].ends_with("  in fibers_begin"));
  const auto running = lines_of(cli({"bt", "12"}, target).out);
  CHECK(running.back().ends_with("  in fibers_begin"));
}

void check_stack(const std::vector<std::string>& target) {
  const auto stack = cli({"stack", "4"}, target);
  CHECK(stack.exit_code == 0);
  const auto text = without_addresses(stack.out);
  CAPTURE(text);
  std::smatch match;
  REQUIRE(std::regex_search(text, match, std::regex("sp, ([0-9]+) used")));
  const auto used = match[1].str();
  std::string expected = fmt::format("goroutine 4 [event]: (anonymous namespace)::wait_below at {}\n +--------+ 0x# hi\n", waits()) +
                         fmt::format(" | | 0x# sp, {} used\n", used);
  for (int row = 1; row < 16; ++row) expected += " | |\n";
  expected += fmt::format(
      " +--------+ 0x# lo\n one row is 4096 bytes\n"
      " size 65,536 bytes in 1 segment, {} used, ? to the guard, ? used at most\n"
      " guard unknown\n"
      " next check stacks of this runtime have a fixed size\n"
      " will shrink no: stacks of this runtime have a fixed size\n"
      " counters ? grows, ? shrinks, ? links, ? hot splits, ? bytes copied\n"
      "# size sp function\n",
      used);
  CHECK(text.starts_with(expected));
}

void check_places(const std::vector<std::string>& target) {
  const auto list = nlohmann::json::parse(cli({"list", "--json"}, target).out);
  const auto& stack = list.at("goroutines").at(3).at("stack");
  for (const auto* name : {"guard", "headroom", "high_water"}) CHECK(stack.at(name).is_null());
  CHECK(stack.at("guard_state") == "unknown");
  const std::string sp = stack.at("sp");
  const auto place = without_addresses(cli({"whereis", sp}, target).out);
  CHECK(place.starts_with("0x#: in the stack of goroutine 4: [0x#, 0x#), 65,536 bytes\n part used, "));
  CHECK(place.find(fmt::format(" where frame #0 fibers::wait (fiber.cpp:{}), CFA-", line_of("fiber.cpp", "park(Wait::event"))) !=
        std::string::npos);
  // The guard page. (Of a live process it can be read, and is told from the heap by nobody.)
  if (target.front() == "--core") {
    const auto below = fmt::format("{:#x}", std::stoull(stack.at("lo").get<std::string>(), nullptr, 16) - 8);
    CHECK(cli({"whereis", below}, target).out == below + ": absent: not mapped, or left out of the core\n");
  }
  const auto audit = cli({"audit"}, target);
  CHECK(audit.err.find("warning: pointers in frames are not audited: contract stack_maps is not exported: stackmap is off\n") !=
        std::string::npos);
  CHECK(std::regex_match(audit.out, std::regex("13 goroutines audited, [0-9]+ frames, 0 findings, 0 notes\n")));
  CHECK(audit.exit_code == 3);
  const auto sched = cli({"sched"}, target);
  CHECK(sched.exit_code == 2);
  CHECK(sched.err.ends_with("contract scheduler is not exported: sched is off\n"));
}

void check_cli(const std::vector<std::string>& target) {
  const auto list = cli({"list"}, target);
  CHECK(list.exit_code == 0);
  CHECK(used_hidden(without_addresses(list.out)) == expected_list("U"));
  check_frames(target);
  check_stack(target);
  check_places(target);
}

// The commands that take a goroutine by id, alike in all front ends.
const std::vector<std::string> kWords = {"bt 4", "bt 13", "stack 4", "audit", "runtime"};

std::vector<std::string> in_debuggers() {
  std::vector<std::string> commands;
  for (const auto& words : kWords) commands.push_back("goroutine " + words);
  return commands;
}

// The target's description differs, and the order of its warnings and text.
std::string after_target(const std::string& text) {
  const auto at = text.find("\nruntime ");
  return at == std::string::npos ? text : text.substr(at);
}

std::string expected_of(const std::string& words, const std::vector<std::string>& target) {
  std::vector<std::string> argv;
  for (std::size_t at = 0; at != std::string::npos;) {
    const auto end = words.find(' ', at);
    argv.push_back(words.substr(at, end == std::string::npos ? end : end - at));
    at = end == std::string::npos ? end : end + 1;
  }
  return after_target(cli(argv, target).out);
}

void check_gdb(const std::vector<std::string>& host, const std::vector<std::string>& target) {
  auto commands = in_debuggers();
  commands.insert(commands.end(), {"goroutine list", "goroutine 4", "frame function (anonymous namespace)::wait_below", "up", "info args"});
  const GdbSession gdb(commands, {.arguments = host});
  CAPTURE(gdb.all());
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    CAPTURE(kWords[i]);
    CHECK(after_target(gdb.at(i)).find(expected_of(kWords[i], target)) != std::string::npos);
  }
  CHECK(is_expected_list(gdb.of("goroutine list")));
  CHECK(gdb.of("info args") == "depth = 1\n");
}

void check_lldb(const std::string& host, const std::vector<std::string>& target) {
  auto commands = in_debuggers();
  commands.insert(commands.begin(), host);
  commands.insert(commands.end(), {"goroutine list", "goroutine 4 frame select 2", "goroutine 4 frame variable depth"});
  const auto session = lldb(commands);
  CAPTURE(session.out);
  CAPTURE(session.err);
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    CAPTURE(kWords[i]);
    CHECK(after_target(session[i + 1]).find(expected_of(kWords[i], target)) != std::string::npos);
  }
  CHECK(is_expected_list(session[kWords.size() + 1]));
  CHECK(session[kWords.size() + 3] == "(int) depth = 1\n");
}

}  // namespace

TEST_CASE("fibers of another library are listed, unwound, drawn, found and audited by the command line, live and on a core") {
  Child child = started();
  check_cli({"--pid", std::to_string(child.pid())});
  check_cli({"--core", make_core(child)});
}

TEST_CASE("GDB says the same of them, live and on a core, and selects one with its arguments") {
  Child child = started();
  const auto pid = std::to_string(child.pid());
  check_gdb({"-p", pid}, {"--pid", pid});
  const auto core = make_core(child);
  check_gdb({program(), core}, {"--core", core});
}

TEST_CASE("LLDB says the same of them, live and on a core, and selects one with its arguments") {
  Child child = started();
  const auto pid = std::to_string(child.pid());
  check_lldb("process attach --pid " + pid, {"--pid", pid});
  const auto core = make_core(child);
  check_lldb("target create --core " + core + " " + program(), {"--core", core});
}

TEST_CASE("its descriptor is found without symbols, and the library itself runs to its end") {
  TempDir folder;
  const auto stripped = folder / "stripped";
  REQUIRE(run({"strip", "-o", stripped, program()}).exit_code == 0);
  Child child = Child::start({stripped});
  child.wait_for_line("ready");
  reading_thread(child.pid());
  const auto list = cli({"list"}, {"--pid", std::to_string(child.pid())});
  CHECK(list.out.ends_with("13 goroutines: 11 waiting, 1 runnable, 1 running\n"));
  child.close_stdin();
  CHECK(child.wait() == 0);
  CHECK(child.output() == "ready\ndone\n");
}
