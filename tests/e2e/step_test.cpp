// At every instruction of every way off a goroutine's stack, core's unwinder (libunwind) leads to the goroutine's entry and
// finds the callee-saved registers that the goroutine had; in a stripped program, too. GDB's backtraces lead there as well.
//
// The program's thread is single-stepped through ways() in rt_step.cpp. What is known of it without unwinding: when ways()
// calls a function, the registers are ways()'s own, and until that function returns, ways() is one of its callers with just
// these.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <optional>
#include <set>

#include "elf/image.h"
#include "support/code_map.h"
#include "support/process.h"
#include "support/stepper.h"
#include "unwind/unwinder.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr int kLevels = 5;          // calls of level() in rt_step
constexpr std::size_t kShown = 10;  // wrong instructions that are told
constexpr std::array kSaved = {Register::rbx, Register::rbp, Register::r12, Register::r13, Register::r14, Register::r15};
constexpr std::array kWays = {"narrow", "wide",     "indirect", "error_number",        "runtime_call", "yields",
                              "grows",  "variadic", "vectors",  "on_the_system_stack", "lasts",        "preempted"};

// What a run was like.
struct Walked {
  std::set<Address> seen;      // instructions of __morestack, from its start
  std::set<std::string> ways;  // of kWays, called
  std::size_t checked = 0;
  std::size_t wrong = 0;
  std::string report;
};

class Walk {
 public:
  // `names`: the same program with its symbols.
  Walk(const std::string& program, const std::string& names)
      : child_(Child::start({program},
                            {.env = {"STACKTIDE_MAXPROCS=1", "STACKTIDE_SEGMENT=2048"}, .folder = {}, .core = false})),
        functions_(functions_of(names)) {
    child_.wait_for_line("ready");
    stepper_.emplace(child_.pid());
    auto target = open_process(static_cast<std::uint64_t>(child_.pid()), {.stop = false});
    REQUIRE(target);
    target_ = std::move(*target);
    bias_ = target_->modules().front().load_bias;
    unwinder_.emplace(target_->memory(), target_->modules(), images_);
    for (const auto& [name, range] : functions_) {
      if (is_way_off(name)) ways_off_.push_back(range);
    }
  }

  Walked run() {
    child_.send_line("go");
    try {
      for (now_ = stepper_->registers(); !in("finish", pc()); now_ = stepper_->registers()) {
        look();
        stepper_->step();
      }
    } catch (const std::runtime_error& error) {
      child_.wait();
      throw std::runtime_error(child_.output() + error.what());
    }
    stepper_.reset();
    CHECK(child_.wait() == 0);
    return std::move(walked_);
  }

 private:
  // What is looked at: the runtime's assembly, the thunks and the entry points.
  static bool is_way_off(const std::string& name) {
    constexpr std::array kNames = {"__morestack",  "stacktide_schedule",        "stacktide_gopark",    "stacktide_yield",
                                   "stacktide_go", "stacktide_on_system_stack", "stacktide_current_id"};
    return std::ranges::find(kNames, name) != kNames.end() || name.starts_with("__wrap_") ||
           name.starts_with("__x86_indirect_thunk_");
  }

  Address pc() const { return now_.get(Register::rip).value_or(0) - bias_; }
  const CodeRange& range(const char* name) const { return functions_.at(name); }
  bool in(const char* name, Address at) const { return range(name).contains(at); }
  // A return address may lie behind its function's end.
  bool returns_into(const char* name, const UnwoundFrame& frame) const {
    return in(name, frame.pc - bias_ - (frame.exact_pc ? 0 : 1));
  }

  void look() {
    follow_calls();
    if (!called_ || std::ranges::none_of(ways_off_, [&](const CodeRange& one) { return one.contains(pc()); })) return;
    if (in("__morestack", pc())) walked_.seen.insert(pc() - range("__morestack").lo);
    ++walked_.checked;
    const auto walk = unwinder_->unwind(now_, 200);
    if (const auto why = problem(walk); !why.empty() && walked_.wrong++ < kShown) report(walk, why);
  }

  // Which of kWays runs, and with which registers ways() called it.
  void follow_calls() {
    if (called_ && in("ways", pc())) called_ = nullptr;
    for (const char* name : kWays) {
      if (called_ || pc() != range(name).lo) continue;
      called_ = name;
      calling_ = now_;
      walked_.ways.insert(name);
    }
  }

  // "" when all is right.
  std::string problem(const Unwinding& walk) {
    if (!walk.complete) return walk.stop_reason;
    const auto ways = std::ranges::find_if(walk.frames, [&](const auto& frame) { return returns_into("ways", frame); });
    if (ways == walk.frames.end()) return elsewhere();
    away_ = false;
    if (!returns_into("stacktide_goroutine_start", walk.frames.back())) return "does not end at the goroutine's start";
    const auto count = [&](const char* name) {
      return std::ranges::count_if(walk.frames, [&](const auto& frame) { return returns_into(name, frame); });
    };
    if (count("level") != kLevels || count("entry") != 1) return "misses callers";
    // The body that is about to run on a new segment is in no frame yet.
    if (count(called_) == 0 && called_ != std::string_view("grows") && called_ != std::string_view("variadic"))
      return fmt::format("misses {}()", called_);
    // All that points into the stack moves with it.
    const Address moved = ways->sp - (calling_.get(Register::rsp).value_or(0) + sizeof(Address));
    for (const Register saved : kSaved) {
      const auto before = calling_.get(saved);
      const auto after = ways->registers.get(saved);
      if (after != before && after != *before + moved) return fmt::format("register {} is wrong", static_cast<int>(saved));
    }
    return "";
  }

  // In the scheduler, and while others run on this thread. The way there begins at one of two instructions: after a runtime
  // call, and after a failed check.
  std::string elsewhere() {
    if (!away_ && !in("__morestack", pc())) return "misses ways()";
    if (!away_) left_at_.insert(pc());
    away_ = true;
    return left_at_.size() > 2 ? "misses ways(), in __morestack" : "";
  }

  void report(const Unwinding& walk, const std::string& why) {
    walked_.report +=
        fmt::format("{} at {:#x} (__morestack + {:#x}) in {}:", why, pc(), pc() - range("__morestack").lo, called_);
    for (const auto& frame : walk.frames) walked_.report += fmt::format(" {:#x}", frame.pc - bias_);
    walked_.report += "\n";
  }

  Child child_;
  std::map<std::string, CodeRange> functions_;
  std::optional<Stepper> stepper_;
  std::unique_ptr<Target> target_;
  Address bias_ = 0;
  ImageCache images_;
  std::optional<Unwinder> unwinder_;
  std::vector<CodeRange> ways_off_;
  Registers now_;
  const char* called_ = nullptr;
  Registers calling_;          // at the first instruction of called_
  bool away_ = false;          // another goroutine or the scheduler runs on the thread
  std::set<Address> left_at_;  // first instructions on the way there
  Walked walked_;
};

// The instructions of __morestack that were looked at.
std::set<Address> walk(const std::string& name, const std::string& program) {
  CAPTURE(program);
  const auto walked = Walk(program, test_program(name)).run();
  INFO(walked.report);
  CHECK(walked.wrong == 0);
  CHECK(walked.ways.size() == kWays.size());
  CHECK(walked.checked > 1000);
  return walked.seen;
}
std::set<Address> walk(const std::string& name) { return walk(name, test_program(name)); }

}  // namespace

TEST_CASE("each instruction off a goroutine's stack and back leads to the goroutine's entry, at -O0") {
  walk("rt_step_plain_O0");
  walk("rt_step_movable_O0");
}

TEST_CASE("each instruction off a goroutine's stack and back leads to the goroutine's entry, in a stripped program") {
  for (const char* name : {"rt_step_plain_O2", "rt_step_movable_O2"}) {
    TempDir folder;
    const auto stripped = folder / name;
    REQUIRE(run({"strip", "-s", "-o", stripped, test_program(name)}).exit_code == 0);
    walk(name, stripped);
  }
}

TEST_CASE("each instruction of a way off a goroutine's stack and back has a backtrace to its entry in GDB, stripped") {
  for (const char* name : {"rt_step_plain_O2", "rt_step_movable_O2"}) {
    CAPTURE(name);
    TempDir folder;
    const auto stripped = folder / name;
    REQUIRE(run({"strip", "-s", "-o", stripped, test_program(name)}).exit_code == 0);
    const auto code = folder / "code";
    std::ofstream file(code);
    for (const auto& [function, range] : functions_of(test_program(name)))
      if (range.hi > range.lo) file << fmt::format("{} {:x} {:x}\n", function, range.lo, range.hi);
    file.close();
    const auto output = run({"gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-x",
                             STACKTIDE_SOURCE_DIR "/tests/e2e/step_gdb.py", stripped},
                            Timeout{120'000}, {.env = {"STEP_CODE=" + code}, .folder = {}, .core = false});
    INFO(output.out << output.err);
    const auto last = output.out.rfind("steps ");
    REQUIRE(last != std::string::npos);
    int steps = 0;
    int checked = 0;
    int wrong = -1;
    REQUIRE(std::sscanf(output.out.c_str() + last, "steps %d checked %d wrong %d", &steps, &checked, &wrong) == 3);
    CHECK(checked >= 500);
    CHECK(wrong == 0);
  }
}

TEST_CASE(
    "each instruction off a goroutine's stack and back leads to the goroutine's entry, at -O2, and none was left out") {
  auto seen = walk("rt_step_plain_O2");
  seen.merge(walk("rt_step_movable_O2"));
  const auto program = test_program("rt_step_plain_O2");
  const auto functions = functions_of(program);
  const auto morestack = functions.at("__morestack");
  std::string missed;
  std::string before;
  for (const auto& [address, text] : instructions_of(program, morestack)) {
    // What gold and lld may call, and nobody else.
    const bool non_split =
        address >= functions.at("__morestack_non_split").lo && address < functions.at("stacktide_call_on_system_stack").lo;
    // XSAVE is for registers that only some processors have.
    const bool other_xsave = text.starts_with("xsave") || before.starts_with("xsave");
    const bool padding = text.find("nop") != std::string::npos;
    if (!non_split && !other_xsave && !padding && !seen.contains(address - morestack.lo))
      missed += fmt::format("__morestack + {:#x}: {}\n", address - morestack.lo, text);
    before = text;
  }
  if (__builtin_cpu_supports("avx")) CHECK(missed == "");
  else CHECK(missed.find("xrstor") != std::string::npos);
}
