// stacktide-link run on real objects, with every linker that is installed, and its reader on damaged ones: what these tests
// check is the program that the linker made.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "calls.h"
#include "flags.h"
#include "movable.h"
#include "object.h"
#include "unit/link_workshop.h"
#include "verify.h"

namespace fs = std::filesystem;
using namespace stacktide::link;
using namespace stacktide::test;

namespace {

// Prints what the linker made of it: each figure is a claim about wrapping, order or sections.
constexpr const char* kProgram = R"(
#include <cstdio>
extern long narrow_calls, wide_calls;
extern thread_local int elsewhere;                        // its initialiser is an absent weak function
extern "C" int absent(int) __attribute__((weak));
extern "C" int sched_yield() __attribute__((weak));       // weak, and present
extern "C" const char __start_stacktide_movable[] __attribute__((weak)), __stop_stacktide_movable[] __attribute__((weak));
int unchecked(int);
inline const char* __attribute__((noinline)) shared_inline() { return CHECKED; }
int main() {
  if (absent) absent(1);
  try { throw 1; } catch (int) { std::puts("caught"); }
  if (sched_yield) sched_yield();
  const bool movable = reinterpret_cast<const char*>(&main) - __start_stacktide_movable >= 0 && reinterpret_cast<const char*>(&main) < __stop_stacktide_movable;
  std::printf("%d %d %s %s\n", unchecked(3), elsewhere, shared_inline(), movable ? "movable" : "pinned");
  std::printf("narrow %ld wide %ld\n", narrow_calls, wide_calls);
}
)";

constexpr const char* kUnchecked = R"(
thread_local int elsewhere = 7;
inline const char* __attribute__((noinline)) shared_inline() { return CHECKED; }
int unchecked(int x) { return shared_inline()[0] == 'c' ? x + 1 : x; }
)";

Bytes as_bytes(const std::string& text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

}  // namespace

TEST_CASE("library calls pass the thunks, absent weak functions stay absent, checked copies win, with every linker") {
  const Workshop shop;
  for (const std::string pie : {"-fPIE -pie", "-fno-pie -no-pie"}) {
    for (const std::string kind : {"pinned", "movable"}) {
      shop.compile("program.cpp", kProgram,
                   "-O1 " + pie.substr(0, pie.find(' ')) + " " + (kind == "movable" ? kMovable : kChecked));
      shop.compile("unchecked.cpp", kUnchecked, "-O1 " + pie.substr(0, pie.find(' ')) + " " + kPlain);
      for (const std::string& linker : linkers()) {
        CAPTURE(pie + " " + kind + " " + linker);
        // The unchecked object comes first on the line, and must not decide which shared_inline() is kept.
        const Ran made = shop.link(fmt::format("{} -fuse-ld={} unchecked.o program.o libruntime.a -o program", pie, linker));
        CAPTURE(made.output);
        REQUIRE(made.status == 0);
        // Allocating, throwing, beginning and ending the catch, puts, sched_yield and unchecked() are narrow; printf is
        // wide.
        const Ran ran = shop.in_folder("./program");
        CHECK(ran.output == fmt::format("caught\n4 7 checked {}\nnarrow 7 wide 1\n", kind));
        CHECK(ran.status == 0);
      }
    }
  }
}

TEST_CASE("of an archive only the members that the linker takes are linked, and their copies win too") {
  const Workshop shop;
  shop.compile("program.cpp", std::string("int helper(); int main() { return helper(); }"), kChecked);
  shop.compile("helper.cpp", std::string("#include <cstdlib>\nint helper() { return std::abs(std::atoi(\"-5\")); }"),
               kMovable);
  shop.compile("unused.cpp",
               std::string("#include <csetjmp>\nint missing(); jmp_buf b; int unused() { return setjmp(b) + missing(); }"),
               kChecked);
  REQUIRE(shop.in_folder("ar rcs libhelper.a unused.o helper.o").status == 0);
  for (const std::string& linker : linkers()) {
    CAPTURE(linker);
    const Ran made = shop.link(fmt::format("-fuse-ld={} program.o -L. -lhelper libruntime.a -o program", linker));
    CAPTURE(made.output);
    REQUIRE(made.status == 0);
    CHECK(shop.in_folder("./program").status == 5);
    CHECK(shop.in_folder("nm program | grep -c ' T .*helper'").output == "1\n");
    CHECK(shop.in_folder("nm program | grep -c unused").output == "0\n");
  }
}

TEST_CASE("a whole archive is linked whole, without a second copy of its goroutine members") {
  const Workshop shop;
  shop.compile("program.cpp", std::string("int main() { return 0; }"), kChecked);
  shop.compile("helper.cpp", std::string("int helper() { return 5; }"), kMovable);
  shop.compile("plain.cpp", std::string("int plain() { return 6; }"), kPlain);
  REQUIRE(shop.in_folder("ar rcs libhelper.a helper.o plain.o").status == 0);
  for (const std::string& linker : linkers()) {
    CAPTURE(linker);
    const Ran made = shop.link(fmt::format(
        "-fuse-ld={} program.o -Wl,--whole-archive,libhelper.a,--no-whole-archive libruntime.a -o program", linker));
    CAPTURE(made.output);
    REQUIRE(made.status == 0);
    CHECK(shop.in_folder("nm program | grep -c -e _Z6helperv -e _Z5plainv").output == "2\n");
  }
}

TEST_CASE("a second link of the same objects makes the same files and keeps the thunks") {
  const Workshop shop;
  shop.compile("program.cpp", kProgram, kMovable);
  shop.compile("unchecked.cpp", kUnchecked, kPlain);
  const std::string arguments = "program.o unchecked.o libruntime.a -o program";
  REQUIRE(shop.link(arguments).status == 0);
  const auto thunks_time = fs::last_write_time(shop.at("program.stacktide/thunks.o"));
  const std::string program = shop.read("program");
  REQUIRE(shop.link(arguments).status == 0);
  CHECK(fs::last_write_time(shop.at("program.stacktide/thunks.o")) == thunks_time);
  CHECK((shop.read("program") == program));
}

TEST_CASE("what cannot run on a goroutine's stack is refused by name, in one line") {
  const Workshop shop;
  const auto refusal = [&](const std::string& text, const std::string& flags) {
    shop.compile("bad.cpp", text, flags);
    const Ran made = shop.link("bad.o libruntime.a -o bad");
    CHECK(made.status == 1);
    CHECK_FALSE(fs::exists(shop.at("bad")));
    return made.output;
  };
  CHECK(refusal("#include <csetjmp>\njmp_buf b; namespace deep { int jump(int n) { return setjmp(b) + n; } } int main() {}",
                kChecked) ==
        "stacktide-link: deep::jump(int) in bad.o calls _setjmp: it saves a stack that may move or go; throw an exception, "
        "or move "
        "the code out of the goroutine target\n");
  CHECK(refusal("#include <unistd.h>\nint main() { return vfork(); }", kChecked) ==
        "stacktide-link: main in bad.o calls vfork: the child would run on its parent's frame; use posix_spawn\n");
  CHECK(refusal("int use(char*); int main(int n, char**) { char a[n]; return use(a); }", kChecked) ==
        "stacktide-link: main in bad.o calls __morestack_allocate_stack_space: alloca and variable-length arrays have no "
        "stack check; "
        "use a fixed size or a std::vector\n");
  CHECK(refusal("int main() {}", "-fsplit-stack -flto") ==
        "stacktide-link: bad.o: goroutine code compiled with -flto has its calls made after this step; compile it with "
        "-fno-lto\n");
  CHECK(refusal("int main() {}", kChecked + "-pg") ==
        "stacktide-link: main in bad.o calls mcount: compile goroutine code without -pg, which calls it before the stack "
        "check\n");
  // Each of a family, in whatever spelling the headers or an option make of it.
  const auto calls = [&](const std::string& symbol, const std::string& why, const std::string& flags) {
    CAPTURE(symbol);
    const std::string text =
        "extern \"C\" int " + symbol + "(void*, int);\nint main(int n, char** v) { return " + symbol + "(v, n) + 1; }";
    CHECK(refusal(text, kChecked + flags) == "stacktide-link: main in bad.o calls " + symbol + ": " + why + "\n");
  };
  const std::string jumps =
      "it saves a stack that may move or go; throw an exception, or move the code out of the goroutine target";
  for (const char* symbol : {"__sigsetjmp", "longjmp", "siglongjmp", "__longjmp_chk"}) calls(symbol, jumps, "");
  const std::string contexts =
      "it switches stacks behind the runtime's back; use goroutines, or move the code out of the goroutine target";
  for (const char* symbol : {"getcontext", "setcontext", "swapcontext", "makecontext"}) calls(symbol, contexts, "");
  calls("clone", "the child would be a thread that the runtime does not know; use std::thread or posix_spawn", "");
  CHECK(refusal("#include <csetjmp>\njmp_buf b; int main() { longjmp(b, 1); }", kChecked + "-O2 -D_FORTIFY_SOURCE=2") ==
        "stacktide-link: main in bad.o calls __longjmp_chk: " + jumps + "\n");
  CHECK(refusal("int main(int n, char** v) { return v[n] != nullptr; }", kChecked + "-fsanitize=address") ==
        "stacktide-link: _sub_I_00099_0 in bad.o calls __asan_init: AddressSanitizer does not follow goroutine stacks; "
        "compile "
        "goroutine code without it\n");
}

TEST_CASE("a command without goroutine code runs as it is, and the linker's status comes through") {
  const Workshop shop;
  shop.compile("plain.cpp", std::string("int main() { return 3; }"), "");
  CHECK(shop.link("plain.o -o plain").status == 0);
  CHECK_FALSE(fs::exists(shop.at("plain.stacktide")));
  CHECK(shop.in_folder("./plain").status == 3);
  CHECK(shop.link("plain.o -labsent -o plain").status == 1);
  CHECK(shop.in_folder(STACKTIDE_BUILD_DIR "/bin/stacktide-link sh -c 'exit 7'").status == 7);
}

TEST_CASE("an undefined function is reported by the linker under its own name") {
  const Workshop shop;
  shop.compile("program.cpp", std::string("int nowhere(); int main() { return nowhere(); }"), kChecked);
  const Ran made = shop.link("program.o libruntime.a -o program");
  CHECK(made.status == 1);
  CHECK(made.output.find("undefined reference to `nowhere()'") != std::string::npos);
}

TEST_CASE("a truncated or flipped object is an error or still consistent, never a crash") {
  const Workshop shop;
  shop.compile("program.cpp", std::string("#include <cstdlib>\nint main() { return std::atoi(\"1\"); }"), kMovable);
  const std::string good = shop.read("program.o");
  const auto try_all = [](const std::string& bytes) {
    const auto object = Object::parse(as_bytes(bytes), "x.o");
    if (!object) {
      CHECK(object.error().starts_with("x.o: damaged object file"));
      return;
    }
    std::set<std::string, std::less<>> defined;
    add_definitions(*object, defined);
    std::vector<Object> objects = {*object};
    if (auto calls = collect_calls(objects, defined)) (void)check_calls(calls->direct);
    (void)check_flags(*object, true);
    if (!object->sections().empty()) (void)with_code_in(*object, stacktide::link::kMovableSection);
  };
  for (std::size_t size = 0; size < good.size(); size += 13) try_all(good.substr(0, size));
  Elf64_Ehdr header;
  std::memcpy(&header, good.data(), sizeof(header));
  const auto flip = [&](std::size_t at) {
    std::string bad = good;
    for (const char value : {'\xff', '\x80', '\x01'}) {
      bad[at] = value;
      try_all(bad);
    }
  };
  for (std::size_t at = 0; at < sizeof(header); ++at) flip(at);
  for (std::size_t at = header.e_shoff; at < good.size(); ++at) flip(at);
}

TEST_CASE("a damaged program fails verification or passes it, and never crashes it") {
  const Workshop shop;
  shop.compile("program.cpp",
               std::string("#include <cstdio>\nint main(int n, char** v) { return n > 1 && std::puts(v[0]); }"), kChecked);
  REQUIRE(shop.link("program.o libruntime.a -o program").status == 0);
  const std::string good = shop.read("program");
  const Expected expected{{{"main", "program.o"}}, {"__morestack"}, {}};
  const auto verified = [&](const std::string& bytes) {
    std::ofstream(shop.at("damaged"), std::ios::binary) << bytes;
    return verify(shop.at("damaged"), expected, [](std::string_view) { return std::string(); });
  };
  CHECK(verified(good));
  for (std::size_t size = 0; size < good.size(); size += 211) (void)verified(good.substr(0, size));
  Elf64_Ehdr header;
  std::memcpy(&header, good.data(), sizeof(header));
  for (std::size_t at = header.e_shoff; at < good.size(); at += 3) {
    std::string bad = good;
    bad[at] = '\xff';
    (void)verified(bad);
  }
}

TEST_CASE("damaged archives are errors") {
  std::vector<MappedFile> files;
  const auto members = [&](const std::string& text) { return archive_members(as_bytes(text), "x.a", files); };
  CHECK(members("!<arch>\n")->empty());
  const std::string head = "name.o/         0           0     0     644     ";
  CHECK(members("!<arch>\n" + head + "4         `\nabcd")->front().name == "name.o");
  CHECK_FALSE(members("!<arch>\n" + head + "5         `\nabcd"));
  CHECK_FALSE(members("!<arch>\n" + head + "x         `\nabcd"));
  CHECK_FALSE(members("!<arch>\nshort"));
  CHECK_FALSE(members("!<arch>\n/99             0           0     0     644     4         `\nabcd"));
}
