// What is said of faults: whole reports, word for word but for addresses, and the signal and registers of the core that
// follows.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "support/process.h"

using namespace stacktide::test;

namespace {

constexpr const char* kLevels[] = {"O0", "O2"};
constexpr int kSegv = 128 + 11;

Output end_of(const std::string& program, const std::string& how, const std::vector<std::string>& env = {}) {
  std::vector<std::string> all = env;
  const auto is_procs = [](const std::string& setting) { return setting.starts_with("STACKTIDE_MAXPROCS="); };
  if (std::ranges::none_of(all, is_procs)) all.push_back("STACKTIDE_MAXPROCS=1");
  return run({test_program(program), how}, kTimeout, {.env = all, .folder = {}, .core = false});
}

// Line `n` of rt_fatal_fault.cpp is the one that has this text.
std::string line_of(const std::string& text) {
  std::ifstream file(std::string(STACKTIDE_SOURCE_DIR) + "/tests/programs/rt_fatal_fault.cpp");
  std::string line;
  for (int n = 1; std::getline(file, line); ++n) {
    if (line.find(text) != std::string::npos) return "\trt_fatal_fault.cpp:" + std::to_string(n) + "\n";
  }
  return "no line has " + text;
}

// Without what differs from run to run: folders, pcs, threads.
std::string stable(std::string text) {
  text = std::regex_replace(text, std::regex("\n\t[^\n]*/"), "\n\t");
  text = std::regex_replace(text, std::regex("(pc|PC)=0x[0-9a-f]+"), "$1=PC");
  return std::regex_replace(text, std::regex("(thread) [0-9]+"), "$1 TID");
}

std::string frame(const char* function, const std::string& text) { return std::string(function) + "\n" + line_of(text); }

// Value of "NAME=0x..." or what the group of `pattern` matches.
std::string match(const std::string& text, const std::string& pattern) {
  std::smatch found;
  return std::regex_search(text, found, std::regex(pattern)) ? found[1].str() : "no match of " + pattern;
}

}  // namespace

TEST_CASE("a fault in a goroutine says what Go would say, where, and which goroutine") {
  const std::string header = "\ngoroutine 1 [running]:\n";
  const std::string store = frame("store", "*to = 1;");
  const struct {
    const char* how;
    int signal;
    std::string text;
  } cases[] = {
      {"nil", 11,
       "panic: runtime error: invalid memory address or nil pointer dereference\n"
       "[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=PC]\n" +
           header + store + frame("nil", "store(pointer_to(8));")},
      {"unmapped", 11,
       "unexpected fault address 0x1234567000\nfatal error: fault\n"
       "[signal SIGSEGV: segmentation violation code=0x1 addr=0x1234567000 pc=PC]\n" +
           header + store + frame("unmapped", "store(pointer_to(0x1234567000));")},
      {"not_canonical", 11,
       "unexpected fault address 0x0\nfatal error: fault\n"
       "[signal SIGSEGV: segmentation violation code=0x80 addr=0x0 pc=PC]\n" +
           header + store + frame("not_canonical", "store(pointer_to(0xeeeeeeeeeeeeeeee));")},
      {"divide", 8,
       "panic: runtime error: integer divide by zero\n[signal SIGFPE: floating-point exception code=0x1 addr=ADDRESS "
       "pc=PC]\n" +
           header + frame("divide", "void divide()")},
      {"illegal", 4,
       "SIGILL: illegal instruction\nPC=PC m=0 sigcode=2\ninstruction bytes: 0xf 0xb BYTES\n" + header +
           frame("illegal", "void illegal()")},
      {"trap", 5, "SIGTRAP: trace trap\nPC=PC m=0 sigcode=128\n" + header + frame("trap", "void trap()")},
      {"call_nil", 11,
       "panic: runtime error: invalid memory address or nil pointer dereference\n"
       "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=PC]\n" +
           header + frame("call_nil", "(value_of(0))();")},
      {"call_data", 11,
       "fatal error: unexpected signal during runtime execution\n"
       "[signal SIGSEGV: segmentation violation code=0x2 addr=ADDRESS pc=PC]\n" +
           header + frame("call_data", "(&data)))();")},
      {"overrun", 11,
       "fatal error: unexpected signal during runtime execution\n"
       "[signal SIGSEGV: segmentation violation code=0x1 addr=ADDRESS pc=PC]\n"
       "runtime: goroutine 1 overran its stack: sp=SP stack=STACK\n" +
           header + frame("overrun", "subq %0, %%rsp")},
      {"canary", 6,
       "fatal error: goroutine 1 overran its stack: the canary at ADDRESS is broken\n" + header +
           frame("canary", "stacktide::yield();")},
      {"other_goroutine", 11,
       "panic: runtime error: invalid memory address or nil pointer dereference\n"
       "[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=PC]\n"
       "\ngoroutine 2 [running]:\n" +
           store + frame("nil", "store(pointer_to(8));") + frame("operator()", "go([] { nil(); });") +
           "created by other_goroutine in goroutine 1\n" + line_of("go([] { nil(); });")},
  };
  for (const char* level : kLevels) {
    for (const auto& c : cases) {
      CAPTURE(level);
      CAPTURE(c.how);
      const Output output = end_of(std::string("rt_fatal_fault_") + level, c.how);
      std::string text = stable(output.err);
      text = std::regex_replace(text, std::regex("addr=0x[0-9a-f]{5,}( pc=PC\\])"), "addr=ADDRESS$1");
      text = std::regex_replace(text, std::regex("addr=ADDRESS pc=PC\\]\n\ngoroutine 1 \\[running\\]:\nstore"),
                                "addr=0x1234567000 pc=PC]\n\ngoroutine 1 [running]:\nstore");
      text = std::regex_replace(text, std::regex("(bytes: 0xf 0xb)( 0x[0-9a-f]+)+"), "$1 BYTES");
      text =
          std::regex_replace(text, std::regex("sp=0x[0-9a-f]+ stack=\\[0x[0-9a-f]+, 0x[0-9a-f]+\\]"), "sp=SP stack=STACK");
      text = std::regex_replace(text, std::regex("canary at 0x[0-9a-f]+"), "canary at ADDRESS");
      // At -O2 the unwinder cannot know where that function's caller is.
      const std::size_t unknown = text.find("\t(a fault ends this traceback)\n");
      if (c.how == std::string("overrun") && unknown != std::string::npos) text.erase(unknown);
      CHECK(output.exit_code == 128 + c.signal);
      CHECK(text == c.text);
    }
  }
}

TEST_CASE("a fault in a library call, a signal that was sent, and abort() show the goroutine that made the call") {
  const struct {
    const char* how;
    int signal;
    const char* first;
    const char* call;
  } cases[] = {
      {"library", 11,
       "fatal error: unexpected signal during runtime execution\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x10 "
       "pc=PC]\n\n",
       "std::memset("},
      {"sent", 11,
       "fatal error: unexpected signal during runtime execution\n[signal SIGSEGV: segmentation violation code=0xfffffffa "
       "addr=0x0 pc=PC]\n\n",
       "raise(SIGSEGV);"},
      {"aborts", 6, "SIGABRT: abort\nPC=PC m=0 sigcode=-6\n\n", "std::abort();"},
  };
  for (const char* level : kLevels) {
    for (const auto& c : cases) {
      CAPTURE(level);
      CAPTURE(c.how);
      const Output output = end_of(std::string("rt_fatal_fault_") + level, c.how);
      const std::string text = stable(output.err);
      CHECK(output.exit_code == 128 + c.signal);
      CHECK(text.starts_with(std::string(c.first) + "goroutine 1 [running]:\n"));
      CHECK(text.ends_with("\n" + frame(c.how, c.call)));
    }
  }
}

TEST_CASE("an overflow of the system stack is named, with the library call that it happened in") {
  for (const char* level : kLevels) {
    CAPTURE(level);
    const std::string text = stable(end_of(std::string("rt_fatal_fault_") + level, "system_stack").err);
    INFO(text);
    CHECK(text.find("\nruntime: the system stack of thread TID overflowed in a call of qsort: stack=[0x") !=
          std::string::npos);
    CHECK(text.find("goroutine 1 [running]:\ndeep_compare\n") != std::string::npos);
    CHECK(text.find(" frames elided...\ndeep_compare\n") != std::string::npos);
    CHECK(text.ends_with("\n" + frame("system_stack", "std::qsort(")));
  }
}

TEST_CASE("a long name is cut off, and needs no more stack than a handler has") {
  std::string letters;
  for (int i = 0; i < 40; ++i) letters += "abcdefghij";
  const Output output = end_of("rt_fatal_fault_O0", "long_name");
  CHECK(output.exit_code == kSegv);
  CHECK(stable(output.err) ==
        "panic: runtime error: invalid memory address or nil pointer dereference\n"
        "[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=PC]\n\ngoroutine 1 [running]:\n" +
            frame(("names::" + letters).substr(0, 399).c_str(), "*to = 2;") + frame("long_name", "(pointer_to(24));"));
}

TEST_CASE("a fault of a thread outside the scheduler shows that thread") {
  const Output output = end_of("rt_fatal_fault_O0", "foreign");
  CHECK(output.exit_code == kSegv);
  CHECK(stable(output.err)
            .starts_with("fatal error: unexpected signal during runtime execution\n"
                         "[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=PC]\n\nthread TID:\n" +
                         frame("store", "*to = 1;")));
}

TEST_CASE("frames that cannot be read end one traceback and not the report") {
  const Output output = end_of("rt_fatal_fault_O0", "corrupted", {"STACKTIDE_TRACEBACK=all"});
  CHECK(output.exit_code == kSegv);
  CHECK(stable(output.err)
            .ends_with("\ngoroutine 2 [chan receive]:\n\t(a fault ends this traceback)\n"
                       "created by corrupted in goroutine 1\n" +
                       line_of("stacktide::go([never, &lo, &hi]")));
}

TEST_CASE("one of several errors at a time is reported, whole") {
  for (int i = 0; i < 3; ++i) {
    const Output output = end_of("rt_fatal_fault_O2", "together", {"STACKTIDE_MAXPROCS=4"});
    CHECK(output.exit_code == kSegv);
    const std::string text =
        std::regex_replace(stable(output.err), std::regex("goroutine [2-5] \\[running\\]"), "goroutine N [running]");
    CHECK(text ==
          "panic: runtime error: invalid memory address or nil pointer dereference\n"
          "[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=PC]\n\ngoroutine N [running]:\n" +
              frame("store", "*to = 1;") + frame("nil", "store(pointer_to(8));") + frame("operator()", "      nil();") +
              "created by together in goroutine 1\n" + line_of("    stacktide::go([] {"));
  }
}

TEST_CASE("a program's own handler stays, whether it was there first or came later") {
  CHECK(end_of("rt_fatal_fault_O2", "handler_before").exit_code == 42);
  CHECK(end_of("rt_fatal_fault_O2", "handler_later").exit_code == 42);
}

TEST_CASE("the core has the registers of the fault") {
  Child child = Child::start({test_program("rt_fatal_fault_O2"), "marked"}, {.env = {}, .folder = {}, .core = true});
  CHECK(child.wait() == kSegv);
  std::string core;
  for (const auto& entry : std::filesystem::directory_iterator(child.folder())) {
    if (entry.path().filename().string().starts_with("core")) core = entry.path();
  }
  if (core.empty()) {
    MESSAGE("the kernel writes no core here: not looked at");
    return;
  }
  const Output gdb =
      run({"gdb", "-nx", "-batch", "-ex", "printf \"%#lx %#lx\\n\", $rip, $r13", test_program("rt_fatal_fault_O2"), core});
  const std::string pc = match(child.output(), " pc=(0x[0-9a-f]+)\\]");
  INFO(gdb.out);
  CHECK(gdb.out.find("terminated with signal SIGSEGV") != std::string::npos);
  CHECK(gdb.out.find("\n" + pc + " 0x1122334455667788\n") != std::string::npos);
}

namespace {

struct Moved {
  Output output;
  std::string object, lo, hi;
};

Moved moved(const std::string& level, const std::string& how, bool stress) {
  std::vector<std::string> env = {"STACKTIDE_MINSTACK=64K"};
  if (stress) env.push_back("STACKTIDE_STRESS=move");
  Moved result;
  result.output = end_of("rt_fatal_moved_" + level, how, env);
  result.object = match(result.output.out, "object (0x[0-9a-f]+)");
  result.lo = match(result.output.out, "old (0x[0-9a-f]+) ");
  result.hi = match(result.output.out, "old 0x[0-9a-f]+ (0x[0-9a-f]+)");
  return result;
}

std::string hex(unsigned long value) {
  std::ostringstream out;
  out << "0x" << std::hex << value;
  return out.str();
}
unsigned long number(const std::string& text) { return std::stoul(text, nullptr, 16); }

}  // namespace

TEST_CASE("a fault in a stack that was left says whose it was, which move left it, and where the object is now") {
  for (const char* level : kLevels) {
    for (const bool stress : {false, true}) {
      CAPTURE(level);
      CAPTURE(stress);
      const Moved m = moved(level, "object", stress);
      INFO(m.output.out << m.output.err);
      CHECK(m.output.exit_code == kSegv);
      // The same place in the old stack, since a move keeps the distance from the end: to 64 KiB, which is the old stack's
      // size.
      const std::string was = hex(number(m.lo) + (number(m.object) & 0xffff));
      CHECK(m.output.err.find("\nruntime: address " + was + " lies in a stack that goroutine 1 has left: [" + m.lo + ", " +
                              m.hi + ")\n") != std::string::npos);
      const std::string left = match(m.output.err, "\nruntime: left by a ([^\n]*)\n");
      CHECK(std::regex_match(
          left,
          std::regex(stress
                         ? "move under stress, event [0-9]+ of ring 2, at [0-9]+\\.[0-9]{6} s: from 65536 to 65536 bytes, "
                           "now \\[.*\\)"
                         : "growth, event 0 of ring 0, at [0-9]+\\.[0-9]{6} s: from 65536 to 131072 bytes, now \\[.*\\)")));
      const std::string moves = stress ? "[0-9]{2,}" : "2";
      CHECK(match(m.output.err, "\nruntime: the object is now at (0x[0-9a-f]+), after " + moves + " moves\n") == m.object);
      CHECK(m.output.err.find("overran") == std::string::npos);
    }
  }
}

TEST_CASE("a stack that was left is all of it and no byte more") {
  for (const char* level : kLevels) {
    CAPTURE(level);
    const std::string at = "lies in a stack that goroutine 1 has left: [";
    const Moved first = moved(level, "first", false);
    CHECK(first.output.err.find("address " + first.lo + " " + at + first.lo) != std::string::npos);
    const Moved last = moved(level, "last", false);
    CHECK(last.output.err.find("address " + hex(number(last.hi) - 1) + " " + at + last.lo) != std::string::npos);
    // The next one begins there.
    const Moved behind = moved(level, "behind", false);
    CHECK(behind.output.err.find("address " + behind.hi + " " + at + behind.hi) != std::string::npos);
  }
}

TEST_CASE("a register that still points into a stack that was left explains a fault at an address that was read there") {
  const Moved m = moved("O2", "register", true);
  INFO(m.output.out << m.output.err);
  CHECK(m.output.err.find("[signal SIGSEGV: segmentation violation code=0x80 addr=0x0 ") != std::string::npos);
  CHECK(match(m.output.err, "\nruntime: r[a-z0-9]+ 0x[0-9a-f]+ lies in a stack that goroutine (1) has left: ") == "1");
  CHECK(match(m.output.err, "\nruntime: the object is now at (0x[0-9a-f]+), ") == m.object);
}

TEST_CASE("the object of a goroutine that has ended is gone") {
  const Moved m = moved("O2", "ended", false);
  CHECK(m.output.err.find(" lies in a stack that goroutine 2 has left: [" + m.lo + ", " + m.hi + ")\n") !=
        std::string::npos);
  CHECK(m.output.err.find("\nruntime: goroutine 2 has ended, and the object with it\n") != std::string::npos);
}
