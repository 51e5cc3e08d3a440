// What the runtime says before it ends a program: the first lines, word for word, and SIGABRT.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/process.h"

using namespace stacktide::test;

namespace {

constexpr int kAborted = 128 + 6;
constexpr const char* kLevels[] = {"O0", "O2"};

Output end_of(const std::string& level, const std::string& how, std::vector<std::string> env = {}) {
  const auto is_procs = [](const std::string& setting) { return setting.starts_with("STACKTIDE_MAXPROCS="); };
  if (std::ranges::none_of(env, is_procs)) env.push_back("STACKTIDE_MAXPROCS=2");
  return run({test_program("rt_fatal_" + level), how}, kTimeout, {.env = std::move(env), .folder = {}, .core = false});
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

// The two lines of a frame: its function, and where.
bool has_frame(const Output& output, const std::string& function) {
  return output.err.find("\n" + function + "\n\t") != std::string::npos &&
         output.err.find("/rt_fatal.cpp:", output.err.find("\n" + function + "\n\t")) != std::string::npos;
}

struct Case {
  const char* how;
  const char* first;
  const char* header;
  const char* frame;
};

}  // namespace

TEST_CASE("a fatal error is one line, the goroutine's header and its frames, and SIGABRT") {
  const Case cases[] = {
      {"send_on_closed", "panic: send on closed channel", "goroutine 1 [running]:", "send_on_closed"},
      {"close_closed", "panic: close of closed channel", "goroutine 1 [running]:", "close_closed"},
      {"close_nil", "panic: close of nil channel", "goroutine 1 [running]:", "close_nil"},
      {"negative_wait_group", "panic: sync: negative WaitGroup counter", "goroutine 1 [running]:", "negative_wait_group"},
      {"park_in_callback",
       "fatal error: yield() in a callback from library code, which runs on the thread's system stack and cannot park",
       "goroutine 1 [running]:", "park_in_callback"},
      {"park_in_blocking",
       "fatal error: channel::recv() in the function given to blocking(), which runs on the thread's system stack and "
       "cannot park",
       "goroutine 1 [syscall]:", "park_in_blocking"},
      {"park_in_handler", "fatal error: yield() in a signal handler, which cannot park",
       "goroutine 1 [running]:", "park_in_handler"},
      {"uncaught", "fatal error: uncaught exception of type std::runtime_error: nobody catches this",
       "goroutine 1 [running]:", "uncaught"},
  };
  for (const char* level : kLevels) {
    for (const Case& c : cases) {
      CAPTURE(level);
      CAPTURE(c.how);
      const Output output = end_of(level, c.how);
      INFO(output.err);
      const auto lines = lines_of(output.err);
      REQUIRE(lines.size() >= 4);
      CHECK(output.exit_code == kAborted);
      CHECK(lines[0] == c.first);
      CHECK(lines[1].empty());
      CHECK(lines[2] == c.header);
      CHECK(has_frame(output, c.frame));
      CHECK(output.err.find("runtime/src/") == std::string::npos);
    }
  }
}

TEST_CASE("a deadlock shows where every goroutine waits") {
  for (const char* level : kLevels) {
    CAPTURE(level);
    const Output output = end_of(level, "deadlock");
    INFO(output.err);
    const auto lines = lines_of(output.err);
    REQUIRE(lines.size() >= 3);
    CHECK(output.exit_code == kAborted);
    CHECK(lines[0] == "fatal error: all goroutines are asleep - deadlock!");
    CHECK(lines[2] == "goroutine 1 [sync.WaitGroup.Wait]:");
    CHECK(output.err.find("\ngoroutine 2 [chan receive]:\nstacktide::channel<int>::recv() const\n") != std::string::npos);
    CHECK(has_frame(output, "deadlock"));
  }
}

namespace {

// The text with each path before a file's name left out, and the numbers of lines in the runtime's own headers.
std::string without_folders(const std::string& text) {
  std::string out;
  for (const std::string& line : lines_of(text)) {
    const std::size_t slash = line.starts_with('\t') ? line.rfind('/') : std::string::npos;
    const std::size_t colon = line.find(".h:");
    const std::string place = colon == std::string::npos ? line : line.substr(0, colon + 2);
    out += slash == std::string::npos ? line : "\t" + place.substr(slash + 1);
    out += '\n';
  }
  return out;
}

}  // namespace

TEST_CASE("a header says how many minutes a goroutine waits, and its end who created it") {
  const Output output = end_of("O0", "deadlock_for_minutes");
  CHECK(output.exit_code == kAborted);
  CHECK(without_folders(output.err) == R"(fatal error: all goroutines are asleep - deadlock!

goroutine 1 [chan send (nil chan)]:
stacktide::channel<int>::send(int) const
	channel.h
deadlock_for_minutes
	rt_fatal.cpp:41

goroutine 2 [chan receive, 5 minutes]:
stacktide::channel<int>::recv() const
	channel.h
operator()
	rt_fatal.cpp:38
created by deadlock_for_minutes in goroutine 1
	rt_fatal.cpp:38
)");
  CHECK(end_of("O2", "deadlock_for_minutes").err.find("\ngoroutine 2 [chan receive, 5 minutes]:\n") != std::string::npos);
}

TEST_CASE("STACKTIDE_TRACEBACK says how much an error shows") {
  const auto text = [](const char* traceback) {
    return without_folders(
        end_of("O0", "fail_with_others", {std::string("STACKTIDE_TRACEBACK=") + traceback, "STACKTIDE_MAXPROCS=1"}).err);
  };
  const std::string none = "panic: close of closed channel\n";
  const std::string single = none + R"(
goroutine 1 [running]:
stacktide::channel<int>::close() const
	channel.h
fail_with_others
	rt_fatal.cpp:51
)";
  const std::string all = single + R"(
goroutine 2 [runnable]:
stacktide::channel<int>::recv() const
	channel.h
operator()
	rt_fatal.cpp:47
created by fail_with_others in goroutine 1
	rt_fatal.cpp:47

goroutine 3 [runnable]:
stacktide::detail::closure<(anonymous namespace)::fail_with_others()::{lambda()#2}>::start(void*)
	runtime.h
created by fail_with_others in goroutine 1
	rt_fatal.cpp:49
)";
  CHECK(text("none") == none);
  CHECK(text("single") == single);
  CHECK(text("") == single);
  CHECK(text("all") == all);
  const std::string system = text("system");
  CHECK(system.find("\nstacktide::runtime::panic(char const*)\n\tfatal.cpp:") != std::string::npos);
  CHECK(system.find("\nstacktide_goroutine_start\n") != std::string::npos);
}

TEST_CASE("a deadlock is noticed after the last timer and the last blocking call, too") {
  const Output output = end_of("O2", "deadlock_after_sleep");
  INFO(output.err);
  CHECK(output.exit_code == kAborted);
  CHECK(output.err.starts_with(
      "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive (nil chan)]:\n"));
}

TEST_CASE("a stack that reaches its limit ends the program, whether it is copied or linked") {
  for (const char* level : kLevels) {
    for (const char* policy : {"auto", "contiguous", "segmented"}) {
      CAPTURE(level);
      CAPTURE(policy);
      const Output output =
          end_of(level, "stack_limit", {"STACKTIDE_MAXSTACK=64K", std::string("STACKTIDE_POLICY=") + policy});
      const auto lines = lines_of(output.err);
      REQUIRE(lines.size() >= 6);
      CHECK(output.exit_code == kAborted);
      CHECK(lines[0] == "runtime: goroutine stack exceeds 65536-byte limit");
      CHECK(lines[1].starts_with("runtime: sp=0x"));
      CHECK(lines[2] == "fatal error: stack overflow");
      CHECK(lines[4] == "goroutine 1 [running]:");
      CHECK(has_frame(output, "recurse_for_ever"));
      // 50 frames, how many were left out, and the 50 outermost.
      CHECK(output.err.find(" frames elided...\nrecurse_for_ever\n") != std::string::npos);
      // At -O2 it ends in a jump.
      if (level == kLevels[0]) CHECK(has_frame(output, "stack_limit"));
    }
  }
}

TEST_CASE("what needs a goroutine, or none, says so") {
  for (const char* level : kLevels) {
    CHECK(lines_of(end_of(level, "run_inside").err)[0] == "fatal error: run() is already active");
    CHECK(end_of(level, "outside").err ==
          "fatal error: yield() outside a goroutine: call it from a function started with run() or go()\n");
    CHECK(end_of(level, "go_before_run").err == "fatal error: go() before run()\n");
    CHECK(end_of(level, "outside").exit_code == kAborted);
    CHECK(end_of(level, "run_inside").exit_code == kAborted);
  }
}

TEST_CASE("an option that makes no sense is named with its value") {
  const struct {
    const char* option;
    const char* text;
  } cases[] = {
      {"STACKTIDE_POLICY=x", "fatal error: STACKTIDE_POLICY=x: wants auto, contiguous or segmented\n"},
      {"STACKTIDE_MAXPROCS=0", "fatal error: STACKTIDE_MAXPROCS=0: wants a number from 1 to 256\n"},
      {"STACKTIDE_MAXPROCS=2x", "fatal error: STACKTIDE_MAXPROCS=2x: wants a number from 1 to 256\n"},
      {"STACKTIDE_MINSTACK=1000",
       "fatal error: STACKTIDE_MINSTACK=1000: wants a power of two from 2048 to 1G, such as 64K\n"},
      {"STACKTIDE_SEGMENT=3K", "fatal error: STACKTIDE_SEGMENT=3K: wants a power of two from 2048 to 1G, such as 64K\n"},
      {"STACKTIDE_MAXSTACK=2G", "fatal error: STACKTIDE_MAXSTACK=2G: wants a power of two from 2048 to 1G, such as 64K\n"},
      {"STACKTIDE_MAXSTACK=-1", "fatal error: STACKTIDE_MAXSTACK=-1: wants a power of two from 2048 to 1G, such as 64K\n"},
      {"STACKTIDE_SHRINK=no", "fatal error: STACKTIDE_SHRINK=no: wants on or off\n"},
      {"STACKTIDE_STRESS=yes", "fatal error: STACKTIDE_STRESS=yes: wants move\n"},
      {"STACKTIDE_TRACEBACK=much", "fatal error: STACKTIDE_TRACEBACK=much: wants none, single, all or system\n"},
      {"STACKTIDE_EVENTS=17", "fatal error: STACKTIDE_EVENTS=17: wants a power of two from 16 to 16M\n"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.option);
    const Output output =
        run({test_program("rt_fatal_O2"), "uncaught"}, kTimeout, {.env = {c.option}, .folder = {}, .core = false});
    CHECK(output.exit_code == kAborted);
    CHECK(output.err == c.text);
  }
}
