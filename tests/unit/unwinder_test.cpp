// The unwinder on real programs: parked contexts, calls onto another stack in both directions, signals, damage. The expected
// CFAs are what the program itself computed in each function (__builtin_dwarf_cfa), so nothing here repeats the unwinder's
// own arithmetic.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "unwind/unwinder.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "support/fake_memory.h"
#include "support/process.h"
#include "symbols/symbolizer.h"

using namespace stacktide;
using test::Child;

namespace {

constexpr std::size_t kLimit = 200;

// What unwind_stacks says about itself.
struct Facts {
  std::vector<std::pair<std::string, Address>> cfas;  // in the order of the calls
  Registers parked;

  // The CFAs noted from the n-th goroutine_entry on (0: parked, 1: running), innermost first.
  std::vector<std::pair<std::string, Address>> chain(std::size_t entry) const {
    std::vector<std::pair<std::string, Address>> found;
    std::size_t seen = 0;
    for (const auto& [name, cfa] : cfas) {
      if (name == "goroutine_entry") ++seen;
      if (seen == entry + 1) found.insert(found.begin(), {name, cfa});
    }
    return found;
  }
};

Facts facts_in(const std::string& output) {
  Facts facts;
  std::istringstream lines(output);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == "cfa") {
      std::string name;
      Address cfa = 0;
      words >> name >> std::hex >> cfa;
      facts.cfas.emplace_back(name, cfa);
    } else if (kind == "parked") {
      Address rip = 0;
      Address rsp = 0;
      Address rbp = 0;
      words >> std::hex >> rip >> rsp >> rbp;
      facts.parked.set(Register::rip, rip);
      facts.parked.set(Register::rsp, rsp);
      facts.parked.set(Register::rbp, rbp);
    }
  }
  return facts;
}

// A running unwind_stacks that has said all it knows.
struct Subject {
  Subject(const std::string& program, const std::string& mode, bool core = false)
      : child(Child::start({test::test_program(program), mode}, start_options(core))),
        facts(facts_in(child.wait_for_line("ready"))) {}

  static test::StartOptions start_options(bool core) {
    test::StartOptions options;
    options.core = core;
    return options;
  }

  Child child;
  Facts facts;
};

std::unique_ptr<Target> opened(pid_t pid) {
  auto target = open_process(static_cast<std::uint64_t>(pid));
  REQUIRE_MESSAGE(target, describe(target.error()));
  return std::move(*target);
}

// The program's functions without their namespace; the physical ones only.
std::vector<std::string> names_of(Target& target, const Unwinding& unwinding) {
  ImageCache images;
  Symbolizer symbolizer(target.memory(), target.modules(), images);
  std::vector<std::string> names;
  constexpr std::string_view kScope = "(anonymous namespace)::";
  for (const UnwoundFrame& frame : unwinding.frames) {
    std::string name = plain_name(symbolizer.symbolize(frame.pc, frame.exact_pc).back().function);
    names.push_back(name.starts_with(kScope) ? name.substr(kScope.size()) : name);
  }
  return names;
}

// "park < descend < main"
std::string joined(std::span<const std::string> names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " < ") + name;
  return text;
}

void check_parked(Target& target, const Facts& facts) {
  ImageCache images;
  Unwinder unwinder(target.memory(), target.modules(), images);
  Unwinding result = unwinder.unwind(facts.parked, kLimit);
  CHECK(result.stop_reason == "");
  CHECK(result.complete);
  CHECK(joined(names_of(target, result)) ==
        "switch_to < park < descend < descend < descend < descend < parked_body < goroutine_entry");
  auto expected = facts.chain(0);
  REQUIRE(result.frames.size() == expected.size() + 1);
  CHECK(result.frames[0].exact_pc);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(result.frames[i + 1].cfa == expected[i].second);
    CHECK(result.frames[i + 1].sp == result.frames[i].cfa);
    CHECK_FALSE(result.frames[i + 1].exact_pc);
  }
}

Registers main_registers(Target& target) {
  auto threads = target.threads();
  REQUIRE_MESSAGE(threads, describe(threads.error()));
  REQUIRE(threads->size() == 1);
  return threads->front().registers;
}

// The position of the first frame of a function; frames.size() when there is none.
std::size_t position_of(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

void check_running(Target& target, const Facts& facts) {
  ImageCache images;
  Unwinder unwinder(target.memory(), target.modules(), images);
  Unwinding result = unwinder.unwind(main_registers(target), kLimit);
  CHECK(result.stop_reason == "");
  CHECK(result.complete);
  auto names = names_of(target, result);
  std::size_t at = position_of(names, "library");
  REQUIRE(at < names.size());
  CHECK(joined(std::span(names).subspan(at)) == "library < on_other_stack < call_library < running_body < goroutine_entry");
  auto expected = facts.chain(1);
  REQUIRE(expected.size() == 4);
  CHECK(result.frames[at].cfa == expected[0].second);
  CHECK(result.frames[at + 2].cfa == expected[1].second);
  CHECK(result.frames[at + 3].cfa == expected[2].second);
  CHECK(result.frames[at + 4].cfa == expected[3].second);
  // The thunk's frame begins on one stack and ends on the other.
  CHECK(result.frames[at + 1].sp == result.frames[at].cfa);
  CHECK(result.frames[at + 1].cfa == result.frames[at + 2].sp);
}

// Another memory with a hole in it.
class HoleMemory : public Memory {
 public:
  HoleMemory(Memory& memory, Address start, std::size_t size) : memory_(memory), start_(start), end_(start + size) {}
  std::size_t read_up_to(Address address, std::span<std::byte> out) override {
    if (address >= start_ && address < end_) return 0;
    if (address < start_ && address + out.size() > start_) out = out.first(start_ - address);
    return memory_.read_up_to(address, out);
  }

 private:
  Memory& memory_;
  Address start_;
  Address end_;
};

}  // namespace

TEST_CASE("a parked context unwinds to its entry from rip, rsp and rbp alone") {
  for (const char* program : {"unwind_stacks_O0", "unwind_stacks_O2"}) {
    CAPTURE(program);
    Subject subject(program, "low");
    auto target = opened(subject.child.pid());
    check_parked(*target, subject.facts);
  }
}

TEST_CASE("a library call on the system stack unwinds through the switch, whichever stack lies higher") {
  for (const char* program : {"unwind_stacks_O0", "unwind_stacks_O2"}) {
    for (const char* mode : {"low", "high"}) {
      CAPTURE(program);
      CAPTURE(mode);
      Subject subject(program, mode);
      auto target = opened(subject.child.pid());
      check_running(*target, subject.facts);
    }
  }
}

TEST_CASE("a core, which lacks text and unwind tables, unwinds with those of the files") {
  Subject subject("unwind_stacks_O2", "low", true);
  std::string path = test::make_core(subject.child);
  auto target = open_core(path);
  REQUIRE_MESSAGE(target, describe(target.error()));
  check_parked(**target, subject.facts);
  check_running(**target, subject.facts);
}

TEST_CASE("tables in the target's memory replace a missing file") {
  Subject subject("unwind_stacks_O2", "low");
  auto target = opened(subject.child.pid());
  std::vector<Module> modules = target->modules();
  for (Module& module : modules) module.file.clear();
  ImageCache images;
  Unwinder unwinder(target->memory(), modules, images);
  Unwinding result = unwinder.unwind(subject.facts.parked, kLimit);
  CHECK(result.complete);
  CHECK(result.stop_reason == "");
  CHECK(result.frames.size() == 8);
}

TEST_CASE("with neither the file nor its headers in memory the walk ends with that reason") {
  Subject subject("unwind_stacks_O2", "low");
  auto target = opened(subject.child.pid());
  std::vector<Module> modules = target->modules();
  const Module& main_module = modules.front();
  modules.front().file.clear();
  HoleMemory memory(target->memory(), main_module.start, 4096);
  ImageCache images;
  Unwinding result = Unwinder(memory, modules, images).unwind(subject.facts.parked, kLimit);
  CHECK_FALSE(result.complete);
  CHECK(result.frames.size() == 1);
  CHECK(result.stop_reason.find("the file of " + main_module.path + " is not there, and its headers are not in memory") !=
        std::string::npos);
}

TEST_CASE("a hole in the stack ends the walk at the first absent address, and keeps the frames before it") {
  Subject subject("unwind_stacks_O2", "low");
  auto target = opened(subject.child.pid());
  auto chain = subject.facts.chain(0);
  Address return_slot = chain[2].second - 8;  // of the second descend
  HoleMemory memory(target->memory(), return_slot, 4096);
  ImageCache images;
  Unwinding result = Unwinder(memory, target->modules(), images).unwind(subject.facts.parked, kLimit);
  CHECK_FALSE(result.complete);
  CHECK(result.frames.size() == 4);
  CHECK(result.stop_reason.starts_with(fmt::format("cannot read 0x{:x}", return_slot)));
}

TEST_CASE("the limit ends a walk, and says so") {
  Subject subject("unwind_stacks_O2", "low");
  auto target = opened(subject.child.pid());
  ImageCache images;
  Unwinding result = Unwinder(target->memory(), target->modules(), images).unwind(subject.facts.parked, 3);
  CHECK(result.frames.size() == 3);
  CHECK_FALSE(result.complete);
  CHECK(result.stop_reason == "stopped after 3 frames");
}

TEST_CASE("a frame interrupted by a signal has an exact pc, even at the first instruction of its function") {
  Subject subject("unwind_stacks_O2", "trap");
  auto target = opened(subject.child.pid());
  ImageCache images;
  Unwinding result = Unwinder(target->memory(), target->modules(), images).unwind(main_registers(*target), kLimit);
  CHECK(result.complete);
  auto names = names_of(*target, result);
  std::size_t at = position_of(names, "fault_at_entry");
  REQUIRE(at + 1 < names.size());
  CHECK(result.frames[at].exact_pc);
  CHECK(result.frames[at].registers.valid == 0x1ffff);  // the kernel saved them all
  CHECK(result.frames[at - 1].exact_pc);                // the trampoline
  CHECK(names[at + 1] == "trapped");
  CHECK_FALSE(result.frames[at + 1].exact_pc);
  CHECK(result.frames[at + 1].cfa == subject.facts.cfas.at(0).second);
}

TEST_CASE("a call through a null pointer unwinds to the caller") {
  Subject subject("unwind_stacks_O2", "null");
  auto target = opened(subject.child.pid());
  ImageCache images;
  Unwinding result = Unwinder(target->memory(), target->modules(), images).unwind(main_registers(*target), kLimit);
  CHECK(result.stop_reason == "");
  CHECK(result.complete);
  auto names = names_of(*target, result);
  std::size_t at = position_of(names, "jumps_to_null");
  REQUIRE(at < names.size());
  CHECK(result.frames[at - 1].pc == 0);
  CHECK(result.frames[at - 1].exact_pc);
  CHECK(result.frames[at].cfa == subject.facts.cfas.at(0).second);
}

TEST_CASE("registers that a call does not preserve are not claimed in the caller") {
  Subject subject("unwind_stacks_O2", "low");
  auto target = opened(subject.child.pid());
  ImageCache images;
  Unwinding result = Unwinder(target->memory(), target->modules(), images).unwind(subject.facts.parked, kLimit);
  REQUIRE(result.frames.size() == 8);
  CHECK_FALSE(result.frames[0].registers.get(Register::rbx));  // unknown at the start
  CHECK(result.frames[1].registers.get(Register::rbx));        // switch_to saved it
  for (const UnwoundFrame& frame : result.frames) CHECK_FALSE(frame.registers.get(Register::rax));
}

TEST_CASE("frames that repeat end the walk") {
  // main of an unoptimised program keeps rbp as its frame: a saved rbp that points at itself makes it its own caller.
  test::FakeMemory memory;
  Module module;
  module.path = module.file = test::test_program("unwind_stacks_O0");
  module.load_bias = module.start = 0x10000000;
  module.end = 0x11000000;
  std::vector<Module> modules{module};
  ImageCache images;
  Symbolizer symbolizer(memory, modules, images);
  auto main_start = symbolizer.address_of("main");
  REQUIRE(main_start);
  constexpr Address kFrame = 0x7fff0000;
  constexpr Address kInside = 64;  // past the prologue
  memory.put<std::uint64_t>(kFrame, kFrame);
  memory.put<std::uint64_t>(kFrame + 8, *main_start + kInside);
  Registers start;
  start.set(Register::rip, *main_start + kInside);
  start.set(Register::rsp, kFrame - 256);
  start.set(Register::rbp, kFrame);
  Unwinding result = Unwinder(memory, modules, images).unwind(start, kLimit);
  CHECK_FALSE(result.complete);
  CHECK(result.frames.size() < 5);
  CHECK(result.stop_reason == fmt::format("pc 0x{:x} and its frame repeat", *main_start + kInside));
}

TEST_CASE("unknown registers and unknown code are reasons, not crashes") {
  test::FakeMemory memory;
  std::vector<Module> modules;
  ImageCache images;
  Unwinder unwinder(memory, modules, images);
  Unwinding nothing = unwinder.unwind({}, kLimit);
  CHECK(nothing.frames.empty());
  CHECK(nothing.stop_reason == "pc or stack pointer unknown");
  Registers start;
  start.set(Register::rip, 0x1234);
  start.set(Register::rsp, 0x5000);
  Unwinding lost = unwinder.unwind(start, kLimit);
  CHECK(lost.frames.size() == 1);
  CHECK(lost.stop_reason == "0x1234 is in no module (after frame 0, pc 0x1234)");
}
