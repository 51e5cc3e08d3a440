// prologue on real programs: samples/frames in the CLI, GDB and LLDB, live and on a core; programs without a runtime, with
// checks of another (libgcc's) and without any; a Go program where Go is installed.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "support/gdb.h"
#include "support/lldb.h"
#include "support/park.h"

using namespace stacktide::test;

namespace {

Child frames(bool core = false) {
  StartOptions options;
  options.core = core;
  Child child = Child::start({sample_program("frames"), "--wait"}, options);
  child.wait_for_line("ready");
  return child;
}

std::vector<std::string> of(const Child& child) { return {"--pid", std::to_string(child.pid())}; }

Output cli(std::vector<std::string> words, const std::vector<std::string>& target) {
  words.insert(words.begin(), cli_program());
  words.insert(words.end(), target.begin(), target.end());
  return run(words);
}

// Addresses of code differ from run to run; their width does not.
std::string masked(const std::string& text) { return std::regex_replace(text, std::regex("0x[0-9a-f]{8,}"), "0xADDRESS"); }

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

const std::vector<std::string> kFunctions = {"add", "small_frame", "big_frame", "huge_frame"};
const std::vector<std::string> kExpected = {
    "(anonymous namespace)::add at frames.cpp:27 in frames: 75 bytes of code\n"
    "  class     small: a frame under StackSmall (256), rsp itself is compared\n"
    "  frame     96 bytes, and 0 bytes of stack arguments; 120 bytes more lie below rsp, in a leaf's red zone\n"
    "  guard     %fs:0x70, the running thread's stackguard0: 928 bytes above the stack's end, or a request\n"
    "  grows     when rsp < guard\n"
    "  inlined   (anonymous namespace)::fill at frames.cpp:29\n"
    "  0xADDRESS  <+0>   cmpq %fs:0x70, %rsp  is rsp below the guard? a frame under 256 bytes may go below it\n"
    "  0xADDRESS  <+9>   jb <+58>             yes: to the slow path\n"
    "  0xADDRESS  <+11>  subq $0x60, %rsp     room for 96 bytes\n"
    "  ...                    13 instructions\n"
    "  0xADDRESS  <+58>  movl $0x60, %r10d    r10 = 96: bytes of the frame\n"
    "  0xADDRESS  <+64>  xorl %r11d, %r11d    r11 = 0: bytes of stack arguments\n"
    "  0xADDRESS  <+67>  callq <__morestack>  gets room, and goes on behind the ret\n"
    "  0xADDRESS  <+72>  retq                 after a linked segment: back to the caller\n"
    "  0xADDRESS  <+73>  jmp <+11>            here with more room: to the body\n",
    "(anonymous namespace)::small_frame at frames.cpp:33 in frames: 55 bytes of code\n"
    "  class     small: a frame under StackSmall (256), rsp itself is compared\n"
    "  frame     8 bytes, and 0 bytes of stack arguments\n"
    "  guard     %fs:0x70, the running thread's stackguard0: 928 bytes above the stack's end, or a request\n"
    "  grows     when rsp < guard\n"
    "  inlined   nothing\n"
    "  0xADDRESS  <+0>   cmpq %fs:0x70, %rsp  is rsp below the guard? a frame under 256 bytes may go below it\n"
    "  0xADDRESS  <+9>   jb <+38>             yes: to the slow path\n"
    "  0xADDRESS  <+11>  subq $8, %rsp        room for 8 bytes\n"
    "  ...                    6 instructions\n"
    "  0xADDRESS  <+38>  movl $8, %r10d       r10 = 8: bytes of the frame\n"
    "  0xADDRESS  <+44>  xorl %r11d, %r11d    r11 = 0: bytes of stack arguments\n"
    "  0xADDRESS  <+47>  callq <__morestack>  gets room, and goes on behind the ret\n"
    "  0xADDRESS  <+52>  retq                 after a linked segment: back to the caller\n"
    "  0xADDRESS  <+53>  jmp <+11>            here with more room: to the body\n",
    "(anonymous namespace)::big_frame at frames.cpp:36 in frames: 98 bytes of code\n"
    "  class     big: a frame of StackSmall (256) or more, rsp less the frame is compared\n"
    "  frame     1016 bytes, and 0 bytes of stack arguments\n"
    "  guard     %fs:0x70, the running thread's stackguard0: 928 bytes above the stack's end, or a request\n"
    "  grows     when rsp - 1016 < guard\n"
    "  inlined   (anonymous namespace)::fill at frames.cpp:39\n"
    "  0xADDRESS  <+0>   leaq -0x3f8(%rsp), %r11  where rsp will be with a frame of 1016 bytes\n"
    "  0xADDRESS  <+8>   cmpq %fs:0x70, %r11      is that below the guard?\n"
    "  0xADDRESS  <+17>  jb <+81>                 yes: to the slow path\n"
    "  0xADDRESS  <+19>  subq $0x3f8, %rsp        room for 1016 bytes\n"
    "  ...                    15 instructions\n"
    "  0xADDRESS  <+81>  movl $0x3f8, %r10d       r10 = 1016: bytes of the frame\n"
    "  0xADDRESS  <+87>  xorl %r11d, %r11d        r11 = 0: bytes of stack arguments\n"
    "  0xADDRESS  <+90>  callq <__morestack>      gets room, and goes on behind the ret\n"
    "  0xADDRESS  <+95>  retq                     after a linked segment: back to the caller\n"
    "  0xADDRESS  <+96>  jmp <+19>                here with more room: to the body\n",
    "(anonymous namespace)::huge_frame at frames.cpp:43 in frames: 98 bytes of code\n"
    "  class     huge: a frame of StackBig (4096) or more, its own size decides the new stack's\n"
    "  frame     10,008 bytes, and 0 bytes of stack arguments\n"
    "  guard     %fs:0x70, the running thread's stackguard0: 928 bytes above the stack's end, or a request\n"
    "  grows     when rsp - 10,008 < guard\n"
    "  inlined   (anonymous namespace)::fill at frames.cpp:46\n"
    "  0xADDRESS  <+0>   leaq -0x2718(%rsp), %r11  where rsp will be with a frame of 10,008 bytes\n"
    "  0xADDRESS  <+8>   cmpq %fs:0x70, %r11       is that below the guard?\n"
    "  0xADDRESS  <+17>  jb <+81>                  yes: to the slow path\n"
    "  0xADDRESS  <+19>  subq $0x2718, %rsp        room for 10008 bytes\n"
    "  ...                    15 instructions\n"
    "  0xADDRESS  <+81>  movl $0x2718, %r10d       r10 = 10,008: bytes of the frame\n"
    "  0xADDRESS  <+87>  xorl %r11d, %r11d         r11 = 0: bytes of stack arguments\n"
    "  0xADDRESS  <+90>  callq <__morestack>       gets room, and goes on behind the ret\n"
    "  0xADDRESS  <+95>  retq                      after a linked segment: back to the caller\n"
    "  0xADDRESS  <+96>  jmp <+19>                 here with more room: to the body\n",
};

// A program that has main() and says "ready", built here.
Child built(const TempDir& folder, const std::string& source, const std::vector<std::string>& flags) {
  const auto file = folder / "program.cpp";
  const auto text = run_with_input({"tee", file}, source);
  REQUIRE(text.exit_code == 0);
  std::vector<std::string> argv = {"g++", "-o", folder / "program", file};
  argv.insert(argv.begin() + 1, flags.begin(), flags.end());
  const auto output = run(argv);
  CAPTURE(output.err);
  REQUIRE(output.exit_code == 0);
  Child child = Child::start({folder / "program"});
  child.wait_for_line("ready");
  return child;
}

constexpr const char* kProgram = R"(
#include <cstdio>
[[gnu::noinline]] int checked(int n) { volatile char room[600]; room[0] = n; return room[0]; }
int main() { std::puts("ready"); std::fflush(stdout); return checked(std::getchar()) == 1; }
)";

}  // namespace

TEST_CASE("the sample runs: its huge frame needs one growth, not several") {
  const auto output = run({sample_program("frames")});
  CHECK(output.out ==
        "add         = 42, stack 2048 -> 2048 bytes\n"
        "small_frame = 42, stack 2048 -> 2048 bytes\n"
        "big_frame   = 42, stack 2048 -> 4096 bytes\n"
        "huge_frame  = 42, stack 4096 -> 16384 bytes\n");
  CHECK(run({sample_program("frames"), "nothing"}).exit_code == 2);
}

TEST_CASE("each class of frame is explained, alike in the CLI, GDB and LLDB, live and on a core") {
  Child child = frames(true);
  const auto target = of(child);
  std::vector<std::string> commands;
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < kFunctions.size(); ++i) {
    const auto output = cli({"prologue", kFunctions[i]}, target);
    CAPTURE(output.err);
    CHECK(masked(output.out) == kExpected[i]);
    CHECK(output.exit_code == 0);
    commands.push_back("goroutine prologue " + kFunctions[i]);
    texts.push_back(output.out);
  }
  {
    const GdbSession gdb(commands, {.arguments = {"-p", target[1]}});
    CAPTURE(gdb.all());
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK(gdb.at(i) == texts[i]);
  }
  auto in_lldb = commands;
  in_lldb.insert(in_lldb.begin(), "process attach --pid " + target[1]);
  {
    const auto session = lldb(in_lldb);
    CAPTURE(session.err);
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK(session[i + 1] == texts[i]);
  }
  const auto core = make_core(child);
  for (std::size_t i = 0; i < texts.size(); ++i) CHECK(cli({"prologue", kFunctions[i]}, {"--core", core}).out == texts[i]);
}

TEST_CASE("functions are found by name, pattern and address; too many are listed") {
  Child child = frames();
  const auto target = of(child);
  const auto json = nlohmann::json::parse(cli({"prologue", "add", "--json"}, target).out);
  CHECK(json.at("schema") == "stacktide/1");
  CHECK(json.at("constants").at("exported") == true);
  const auto& add = json.at("functions").at(0);
  CHECK(add.at("check").at("class") == "small");
  CHECK(add.at("check").at("slow_path") == "__morestack");
  CHECK(add.at("inlined").at(0).at("function") == "(anonymous namespace)::fill");
  const std::string inside = add.at("instructions").at(2).at("address");
  const auto text = cli({"prologue", "add"}, target).out;
  CHECK(cli({"prologue", inside}, target).out == text);
  CHECK(cli({"prologue", "_ZN12_GLOBAL__N_13addEii"}, target).out == text);
  CHECK(cli({"prologue", "(anonymous namespace)::add"}, target).out == text);
  const auto three = cli({"prologue", "space.::[a-z]*_frame$"}, target);
  CHECK(three.exit_code == 0);
  CHECK(occurrences(three.out, "  class  ") == 3);
  const auto two = cli({"prologue", "space.::[a-z]*_frame$", "--limit", "2"}, target);
  CHECK(two.exit_code == 2);
  CHECK(masked(two.out) ==
        "address         function                            module\n"
        "0xADDRESS  (anonymous namespace)::huge_frame   frames\n"
        "0xADDRESS  (anonymous namespace)::big_frame    frames\n"
        "0xADDRESS  (anonymous namespace)::small_frame  frames\n");
  CHECK(contains(two.err,
                 "prologue: 3 functions match 'space.::[a-z]*_frame$', more than 2: give an address or more of the name, or "
                 "--limit 0\n"));
}

TEST_CASE("functions without a check say why") {
  Child child = frames();
  const auto target = of(child);
  const auto why = [&](const std::string& name) {
    const auto lines = lines_of(cli({"prologue", name}, target).out);
    REQUIRE(lines.size() > 1);
    return lines[1];
  };
  CHECK(why("__wrap_printf") ==
        "  no check  a thunk made at link time: it goes on to the function on the thread's system stack");
  CHECK(why("__morestack") ==
        "  no check  the runtime's own code, which runs on the thread's system stack or changes stacks by itself");
  CHECK(why("fopen") ==
        "  no check  compiled without stack checks: it runs on the thread's system stack, when a goroutine calls it");
}

TEST_CASE("a program without a runtime is explained as far as its code goes") {
  const TempDir folder;
  {
    Child plain = built(folder, kProgram, {"-O1"});
    const auto output = cli({"prologue", "checked"}, of(plain));
    CHECK(output.exit_code == 0);
    CHECK(contains(output.out, "  no check  compiled without stack checks (-fsplit-stack)\n"));
    CHECK(contains(output.out, "  inlined   not known: no debug information\n"));
  }
  {
    // libgcc's __morestack. Without optimisation the slow path comes first.
    Child split = built(folder, kProgram, {"-O0", "-g", "-fsplit-stack"});
    const auto output = cli({"prologue", "checked"}, of(split));
    CHECK(contains(output.out, "  class     big: a frame of StackSmall (256) or more, rsp less the frame is compared\n"));
    CHECK(contains(output.out, "  guard     %fs:0x70, the running thread's\n"));
    CHECK(contains(output.out, "callq <__morestack>"));
    CHECK(contains(output.out, "rbp is the frame pointer\n"));
    CHECK_FALSE(contains(output.out, "  ...  "));
  }
  // gold makes functions that call code without checks ask for more each time.
  Child gold = built(folder, kProgram, {"-O1", "-fsplit-stack", "-fuse-ld=gold"});
  const auto output = cli({"prologue", "main"}, of(gold));
  CHECK(contains(output.out, "  grows     asks at each call, since a linker saw that it calls code without checks"));
  CHECK(contains(output.out, "callq <__morestack_non_split>"));
}

TEST_CASE("Go's checks are explained on a Go program") {
  if (!installed("go")) {
    MESSAGE("skipped: no go; apt-get install golang-go");
    return;
  }
  const TempDir folder;
  const auto source =
      run_with_input({"tee", folder / "main.go"},
                     "package main\n"
                     "import \"os\"\n"
                     "//go:noinline\nfunc use(b []int) int { return b[1] }\n"
                     "//go:noinline\nfunc small(n int) int { var b [10]int; b[n&7] = n; return use(b[:]) }\n"
                     "//go:noinline\nfunc big(n int) int { var b [100]int; b[n&7] = n; return use(b[:]) }\n"
                     "//go:noinline\nfunc huge(n int) int { var b [1000]int; b[n&7] = n; return use(b[:]) }\n"
                     "func main() {\n"
                     "  n := small(3) + big(4) + huge(5)\n"
                     "  println(\"ready\", n)\n"
                     "  os.Stdin.Read(make([]byte, 1))\n}\n");
  REQUIRE(source.exit_code == 0);
  StartOptions options;
  options.env = {"GO111MODULE=off", "GOFLAGS=", "GOCACHE=" + (folder / "cache"), "HOME=" + folder.path()};
  options.folder = folder.path();
  const auto output = run({"go", "build", "-o", folder / "program", "main.go"}, Timeout{240'000}, options);
  CAPTURE(output.err);
  REQUIRE(output.exit_code == 0);
  Child child = Child::start({folder / "program"});
  child.wait_for_line("ready");
  const auto check = [&](const std::string& name) {
    const auto text = cli({"prologue", name, "--json"}, of(child)).out;
    REQUIRE(!text.empty());
    return nlohmann::json::parse(text).at("functions").at(0);
  };
  const auto small = check("main.small");
  CHECK(small.at("check").at("form") == "go");
  CHECK(small.at("check").at("class") == "small");
  CHECK(small.at("check").at("guard") == "0x10(%r14)");
  CHECK(small.at("frame_in_code").get<int>() >= 80);
  const auto big = check("main.big");
  CHECK(big.at("check").at("class") == "big");
  CHECK(big.at("check").at("frame") == big.at("frame_in_code"));
  const auto huge = check("main.huge");
  CHECK(huge.at("check").at("class") == "huge");
  CHECK(huge.at("check").at("frame") == huge.at("frame_in_code"));
  CHECK(contains(huge.at("check").at("slow_path").get<std::string>(), "runtime.morestack"));
}
