// Names, lines, inlined levels and arguments of a real program's frames, and agreement with GDB and LLDB frame by frame.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "symbols/symbolizer.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/fake_memory.h"
#include "support/process.h"
#include "unwind/unwinder.h"

using namespace stacktide;
using test::Child;

namespace {

// `callers`: whether the symbolizer may ask them.
std::vector<Frame> frames_of(Target& target, bool callers) {
  auto threads = target.threads();
  REQUIRE_MESSAGE(threads, describe(threads.error()));
  ImageCache images;
  Unwinder unwinder(target.memory(), target.modules(), images);
  Symbolizer symbolizer(target.memory(), target.modules(), images);
  auto unwound = unwinder.unwind(threads->front().registers, 200).frames;
  std::vector<Frame> frames;
  for (std::size_t i = 0; i < unwound.size(); ++i) {
    std::span<const UnwoundFrame> outer = std::span(unwound).subspan(i + 1);
    auto levels = symbolizer.symbolize(unwound[i], callers ? outer : std::span<const UnwoundFrame>{});
    frames.insert(frames.end(), levels.begin(), levels.end());
  }
  return frames;
}

// From the program's own innermost function to main: what lies around is the C library's.
std::vector<Frame> own_frames(Target& target, bool callers = true) {
  auto frames = frames_of(target, callers);
  auto first = std::ranges::find(frames, "app::wait_for_end", &Frame::function);
  auto last = std::ranges::find(frames, "main", &Frame::function);
  REQUIRE(first != frames.end());
  REQUIRE(last != frames.end());
  return {first, last + 1};
}

std::unique_ptr<Target> opened(pid_t pid) {
  auto target = open_process(static_cast<std::uint64_t>(pid));
  REQUIRE_MESSAGE(target, describe(target.error()));
  return std::move(*target);
}

std::string names_of(const std::vector<Frame>& frames) {
  std::string text;
  for (const Frame& frame : frames) text += frame.function + "\n";
  return text;
}

std::string plain_names(std::vector<std::string> names) {
  std::string text;
  for (const std::string& name : names) text += plain_name(name) + "\n";
  return text;
}

const Frame& frame_of(const std::vector<Frame>& frames, std::string_view function) {
  auto found = std::ranges::find(frames, function, &Frame::function);
  REQUIRE_MESSAGE(found != frames.end(), "no frame of ", std::string(function));
  return *found;
}

// The source line that contains `text`, counted from 1.
std::uint32_t line_with(std::string_view text) {
  std::string source = test::run({"cat", std::string(STACKTIDE_SOURCE_DIR) + "/tests/programs/unwind_names.cpp"}).out;
  std::size_t at = source.find(text);
  REQUIRE(at != std::string::npos);
  return static_cast<std::uint32_t>(std::count(source.begin(), source.begin() + static_cast<std::ptrdiff_t>(at), '\n')) + 1;
}

// The function names in "#3  0x... in NAME (args) at file:1" and "#3  NAME (args) at ..." lines.
std::vector<std::string> gdb_names(const std::string& output) {
  std::vector<std::string> names;
  for (std::size_t at = 0; at < output.size();) {
    std::size_t end = std::min(output.find('\n', at), output.size());
    std::string line = output.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with("#")) continue;
    std::size_t start = line.find_first_not_of("#0123456789 ");
    if (line[start - 1] == '0' || line.compare(start, 1, "x") == 0) start = line.find(" in ") + 4;
    std::size_t arguments = line.rfind(" (", line.rfind(") at "));
    names.push_back(line.substr(start, arguments - start));
  }
  return names;
}

// The names in lines "F|NAME", which LLDB writes by our frame-format; of "outer [inlined] inner" the inner one.
std::vector<std::string> lldb_names(const std::string& output) {
  std::vector<std::string> names;
  constexpr std::string_view kInlined = " [inlined] ";
  for (std::size_t at = 0; at < output.size();) {
    std::size_t end = std::min(output.find('\n', at), output.size());
    std::string line = output.substr(at, end - at);
    at = end + 1;
    std::size_t mark = line.find("F|");
    if (mark == std::string::npos) continue;
    line.erase(0, mark + 2);
    if (std::size_t inlined = line.rfind(kInlined); inlined != std::string::npos) line.erase(0, inlined + kInlined.size());
    names.push_back(line);
  }
  return names;
}

std::vector<std::string> between(const std::vector<std::string>& names, std::string_view first, std::string_view last) {
  auto plain_is = [](std::string_view wanted) {
    return [wanted](const std::string& name) { return plain_name(name) == wanted; };
  };
  auto from = std::ranges::find_if(names, plain_is(first));
  auto to = std::ranges::find_if(names, plain_is(last));
  REQUIRE(from != names.end());
  REQUIRE(to != names.end());
  return {from, to + 1};
}

}  // namespace

TEST_CASE("unoptimised frames have qualified names without signatures") {
  Child child = Child::start({test::test_program("unwind_names_O0")});
  child.wait_for_line("ready");
  auto target = opened(child.pid());
  auto frames = own_frames(*target);
  auto middle = std::ranges::find(frames, "c_function", &Frame::function);
  REQUIRE(middle != frames.end());
  CHECK(names_of({frames.begin(), middle + 2}) ==
        "app::wait_for_end\n"
        "app::scalars\n"
        "app::objects\n"
        "app::(anonymous namespace)::hidden<int>\n"
        "app::channel<int>::receive\n"
        "app::channel<int>::send<double>\n"
        "app::channel<int>::channel\n"
        "app::channel<int>::operate\n"
        "app::channel<int>::operator()\n"
        "app::channel<int>::operator bool\n"
        "app::channel<int>::operator<\n"
        "app::Derived::run(long)::{lambda(int)#1}::operator()\n"
        "app::call<app::Derived::run(long)::{lambda(int)#1}>\n"
        "app::Derived::run\n"
        "inlined\n"
        "c_function\n"
        "main::{lambda(app::Base*)#1}::operator()\n");
  const Frame& send = frame_of(frames, "app::channel<int>::send<double>");
  CHECK(send.symbol == "_ZN3app7channelIiE4sendIdEEiT_");
  CHECK(send.line == line_with("T result = receive();"));
  CHECK(send.file == std::string(STACKTIDE_SOURCE_DIR) + "/tests/programs/unwind_names.cpp");
  CHECK(send.module == test::test_program("unwind_names_O0"));
  CHECK(send.offset > 0);
  CHECK(send.size == send.cfa - send.sp);
  CHECK_FALSE(send.exact_pc);
  CHECK(frame_of(frames, "app::channel<int>::operator bool").line == line_with("bool result = (*this)(3) != 0;"));
}

TEST_CASE("arguments show their values by type") {
  Child child = Child::start({test::test_program("unwind_names_O0")});
  child.wait_for_line("ready");
  auto target = opened(child.pid());
  auto frames = own_frames(*target);
  std::string scalars = frame_of(frames, "app::scalars").args;
  constexpr std::string_view kExpected =
      "yes=true, letter=120 'x', negative=-5 '\\373', byte=200 '\\310', little=-300, big=18446744073709551615, third=0.25, "
      "half=1.5, plain=large, scoped=Scoped::green, null=0x0, text=0x";
  CHECK(scalars.substr(0, kExpected.size()) == kExpected);
  CHECK(scalars.ends_with(" \"plain \\\"text\\\"\""));
  CHECK(frame_of(frames, "app::objects").args ==
        "text=\"short\", reference=\"by reference\", view=\"a view\", long_text=\"" + std::string(64, 'z') +
            "\"..., pair=..., numbers=...");
  const Frame& receive = frame_of(frames, "app::channel<int>::receive");
  CHECK(receive.args.starts_with("this=0x"));
  CHECK(receive.args.find(',') == std::string::npos);
}

TEST_CASE("an executable at a fixed address has the same names and arguments") {
  Child child = Child::start({test::test_program("unwind_names_fixed")});
  child.wait_for_line("ready");
  auto target = opened(child.pid());
  CHECK(target->modules().front().load_bias == 0);
  auto frames = own_frames(*target);
  CHECK(frame_of(frames, "app::objects").symbol.starts_with("_ZN3app7objects"));
  CHECK(frame_of(frames, "app::objects").line == line_with("scalars(true, 'x'"));
}

TEST_CASE("inlined functions are levels of their own, and share their function's frame") {
  Child child = Child::start({test::test_program("unwind_names_O2")});
  child.wait_for_line("ready");
  auto target = opened(child.pid());
  auto frames = own_frames(*target);
  auto at = std::ranges::find(frames, "inlined", &Frame::function);
  REQUIRE(at != frames.end());
  const Frame& inner = *at;
  const Frame& outer = *(at + 1);
  CHECK(inner.inlined);
  CHECK(inner.line == line_with("int result = base->run(value + 1);"));
  CHECK(outer.function == "c_function");
  CHECK_FALSE(outer.inlined);
  CHECK(outer.line == line_with("int result = inlined(base, 7);"));
  CHECK(inner.pc == outer.pc);
  CHECK(inner.cfa == outer.cfa);
  CHECK(inner.args.find("value=7") != std::string::npos);
}

TEST_CASE("an argument that the code has lost is read from its caller") {
  Child child = Child::start({test::test_program("unwind_names_O2")});
  child.wait_for_line("ready");
  auto target = opened(child.pid());
  CHECK(frame_of(own_frames(*target), "app::channel<int>::operator()").args.ends_with("extra=3"));
  CHECK(frame_of(own_frames(*target, false), "app::channel<int>::operator()").args.ends_with("extra=<optimized out>"));
}

TEST_CASE("core, GDB and LLDB name the same functions, frame by frame") {
  for (const char* program : {"unwind_names_O0", "unwind_names_O2"}) {
    CAPTURE(program);
    test::StartOptions options;
    options.core = true;
    std::string path = test::test_program(program);
    Child child = Child::start({path}, options);
    child.wait_for_line("ready");
    std::string core = test::make_core(child);
    auto target = open_core(core);
    REQUIRE_MESSAGE(target, describe(target.error()));
    std::vector<std::string> ours;
    for (const Frame& frame : own_frames(**target)) ours.push_back(frame.function);
    std::string expected = plain_names(ours);

    auto gdb = test::run({"gdb", "-nx", "-batch", "-ex", "set width 0", "-ex", "bt", path, core});
    CAPTURE(gdb.out);
    CHECK(plain_names(between(gdb_names(gdb.out), "app::wait_for_end", "main")) == expected);

    auto lldb = test::run({"lldb-19", "--no-lldbinit", "--batch", "-c", core, path, "-o",
                           "settings set frame-format \"F|${function.name}\\n\"", "-o", "bt"});
    CAPTURE(lldb.out);
    std::vector<std::string> theirs = between(lldb_names(lldb.out), "app::wait_for_end", "main");
    if (std::string_view(program) == "unwind_names_O0") {
      CHECK(plain_names(theirs) == expected);
      continue;
    }
    // LLDB leaves out the function around an inlined one whose last instruction is the call, and the scope of an inlined
    // function without linkage name. What it does show must be ours, in our order.
    auto at = ours.begin();
    for (const std::string& name : theirs) {
      std::string wanted = plain_name(name);
      CAPTURE(wanted);
      at = std::find_if(at, ours.end(), [&](const std::string& own) {
        std::string plain = plain_name(own);
        return plain == wanted || plain.ends_with("::" + wanted);
      });
      REQUIRE(at != ours.end());
      ++at;
    }
  }
}

TEST_CASE("without debug info a frame has its symbol, and a stripped one its module") {
  test::TempDir folder;
  std::string bare = folder / "bare";
  std::string stripped = folder / "stripped";
  std::string original = test::test_program("unwind_names_O2");
  REQUIRE(test::run({"strip", "--strip-debug", "-o", bare, original}).exit_code == 0);
  REQUIRE(test::run({"strip", "--strip-all", "-o", stripped, original}).exit_code == 0);
  test::FakeMemory memory;
  Module module;
  module.start = module.load_bias = 0x1000000;
  module.end = 0x2000000;
  for (const std::string& path : {original, bare, stripped}) {
    CAPTURE(path);
    ImageCache images;
    module.path = module.file = original;
    std::vector<Module> original_modules{module};
    auto start = Symbolizer(memory, original_modules, images).address_of("c_function");
    REQUIRE(start);
    module.path = module.file = path;
    std::vector<Module> modules{module};
    auto levels = Symbolizer(memory, modules, images).symbolize(*start + 4, true);
    const Frame& frame = levels.back();
    CHECK(frame.module == path);
    CHECK(frame.function == (path == stripped ? "" : "c_function"));
    CHECK(frame.offset == (path == stripped ? 0 : 4));
    CHECK((frame.line != 0) == (path == original));
    CHECK(frame.exact_pc);
  }
}

TEST_CASE("debug info in a separate file is found by its link, unless it belongs to another build") {
  test::TempDir folder;
  std::string bare = folder / "program";
  std::string debug = folder / "program.debug";
  std::string original = test::test_program("unwind_names_O2");
  REQUIRE(test::run({"objcopy", "--only-keep-debug", original, debug}).exit_code == 0);
  REQUIRE(test::run({"objcopy", "--strip-all", "--add-gnu-debuglink=" + debug, original, bare}).exit_code == 0);
  test::FakeMemory memory;
  Module module;
  module.path = module.file = bare;
  module.start = module.load_bias = 0x1000000;
  module.end = 0x2000000;
  std::vector<Module> modules{module};
  ImageCache images;
  Symbolizer symbolizer(memory, modules, images);
  auto start = symbolizer.address_of("c_function");
  REQUIRE(start);
  auto levels = symbolizer.symbolize(*start, true);
  CHECK(levels.back().function == "c_function");
  CHECK(levels.back().line == line_with("int c_function(app::Base* base)"));

  REQUIRE(test::run({"objcopy", "--only-keep-debug", test::test_program("unwind_names_O0"), debug}).exit_code == 0);
  ImageCache fresh;
  CHECK_FALSE(Symbolizer(memory, modules, fresh).address_of("c_function"));
}

TEST_CASE("a function is called what its caller calls it, else what it calls itself") {
  // A process with this one's addresses.
  const pid_t twin = fork();
  if (twin == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) pause();
  }
  const auto target = opened(twin);
  ImageCache images;
  Symbolizer symbolizer(target->memory(), target->modules(), images);
  const auto here = reinterpret_cast<Address>(&names_of);
  // libc chooses its memcpy when the program starts; it has a name for each.
  void* (*volatile copy)(void*, const void*, std::size_t) = &std::memcpy;
  int (*volatile uncaught)() noexcept = &std::uncaught_exceptions;
  CHECK(symbolizer.called_name(reinterpret_cast<Address>(copy), here) == "memcpy");
  CHECK(symbolizer.called_name(reinterpret_cast<Address>(uncaught), here) == "std::uncaught_exceptions");
  CHECK(symbolizer.called_name(here, here) == "(anonymous namespace)::names_of");
  // A caller that does not import it, as one through a pointer.
  CHECK(symbolizer.called_name(reinterpret_cast<Address>(uncaught), 0) == "std::uncaught_exceptions");
  CHECK(symbolizer.called_name(0x10, here) == "");
  kill(twin, SIGKILL);
  waitpid(twin, nullptr, 0);
}

TEST_CASE("an address in no module is a frame without a name") {
  test::FakeMemory memory;
  std::vector<Module> modules;
  ImageCache images;
  auto levels = Symbolizer(memory, modules, images).symbolize(0x1234, true);
  REQUIRE(levels.size() == 1);
  CHECK(levels[0].pc == 0x1234);
  CHECK(levels[0].function == "");
  CHECK(levels[0].module == "");
  CHECK_FALSE(Symbolizer(memory, modules, images).address_of("main"));
}
