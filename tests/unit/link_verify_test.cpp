// stacktide-link's verification: the program that the linker made is decoded, and what goroutine code must not do fails the
// link by name, with every linker that is installed.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "functions.h"
#include "instruction.h"
#include "unit/link_workshop.h"

namespace fs = std::filesystem;
using namespace stacktide::link;
using namespace stacktide::test;

namespace {

template <class... Ints>
std::vector<std::byte> bytes(Ints... values) {
  return {static_cast<std::byte>(values)...};
}

// Links with each linker, and expects this one line and no program.
void check_refusal(const Workshop& shop, const std::string& arguments, const std::string& message,
                   const std::vector<std::string>& tried = linkers()) {
  for (const std::string& linker : tried) {
    CAPTURE(linker);
    REQUIRE(shop.in_folder("touch program").status == 0);  // of an earlier link
    const Ran made = shop.link(fmt::format("-fuse-ld={} {} libruntime.a -o program", linker, arguments));
    CHECK(made.output == "stacktide-link: " + message + "\n");
    CHECK(made.status == 1);
    CHECK_FALSE(fs::exists(shop.at("program")));
  }
}

}  // namespace

TEST_CASE("the lengths of instructions are those that objdump finds, over a library with vector code") {
  const Workshop shop;
  const Ran where = shop.in_folder(
      "lib=$(g++ -print-file-name=libm.so.6); objdump -d -j .text --no-show-raw-insn $lib | sed -n 's/^ "
      "*\\([0-9a-f]*\\):\\t.*/\\1/p' "
      "> list; objcopy -O binary -j .text $lib text; head -n 1 list");
  REQUIRE(where.status == 0);
  const std::uint64_t start = std::stoull(where.output, nullptr, 16);
  const std::string text = shop.read("text");
  const Bytes code{reinterpret_cast<const std::byte*>(text.data()), text.size()};
  std::ifstream list(shop.at("list"));
  std::size_t at = 0;
  std::size_t compared = 0;
  for (std::string line; std::getline(list, line); ++compared) {
    const std::size_t expected = std::stoull(line, nullptr, 16) - start;
    // objdump shows fwait and what follows as one.
    if (at != expected && at != 0 && code[at - 1] == std::byte{0x9b}) at += decode(code.subspan(at)).value().length;
    CAPTURE(line);
    REQUIRE(at == expected);
    at += decode(code.subspan(at)).value().length;
  }
  CHECK(compared > 50'000);
}

TEST_CASE("calls, jumps and stack room are told from all else") {
  using Kind = Instruction::Kind;
  const auto decoded = [](const std::vector<std::byte>& code) { return decode(code).value(); };
  const Instruction call = decoded(bytes(0xe8, 0x10, 0, 0, 0));
  CHECK((call.kind == Kind::call && call.length == 5 && call.target == 0x15));
  CHECK(decoded(bytes(0x67, 0xe8, 0xfa, 0xff, 0xff, 0xff)).target == 0);  // what linkers make of a call through the GOT
  const Instruction jump = decoded(bytes(0x0f, 0x84, 0, 1, 0, 0));
  CHECK((jump.kind == Kind::jump && jump.target == 0x106));
  CHECK(decoded(bytes(0xeb, 0xfe)).target == 0);
  const Instruction through_got = decoded(bytes(0xff, 0x15, 0x20, 0, 0, 0));
  CHECK((through_got.kind == Kind::indirect_call && through_got.rip_operand && through_got.target == 0x26));
  CHECK(decoded(bytes(0x41, 0xff, 0xe3)).kind == Kind::indirect_jump);  // jmp *%r11
  CHECK(decoded(bytes(0x48, 0x83, 0xec, 0x18)).amount == 0x18);
  CHECK(decoded(bytes(0x48, 0x81, 0xec, 0x48, 0x1f, 0, 0)).amount == 8008);
  CHECK(decoded(bytes(0x48, 0x83, 0xec, 0x80)).kind == Kind::other);  // subq $-128, %rsp
  CHECK(decoded(bytes(0x41, 0x57)).kind == Kind::push);
  CHECK(decoded(bytes(0x48, 0xb8, 0xe8, 0xe8, 0xe8, 0xe8, 0xe8, 0xe8, 0xe8, 0xe8)).kind == Kind::other);  // movabs
  const Instruction aligned = decoded(bytes(0x48, 0x81, 0xe4, 0, 0, 0xfe, 0xff));  // andq $-131072, %rsp
  CHECK((aligned.kind == Kind::stack_alignment && aligned.amount == 131072));
  CHECK(decoded(bytes(0x48, 0x8b, 0x62, 0x10)).kind == Kind::stack_load);  // movq 16(%rdx), %rsp
  CHECK(decoded(bytes(0x4c, 0x8b, 0x62, 0x10)).kind == Kind::other);       // movq 16(%rdx), %r12
  CHECK(decoded(bytes(0x49, 0x83, 0xec, 0x10)).kind == Kind::other);       // subq $16, %r12
  CHECK_FALSE(decode(bytes(0x48, 0x81, 0xec, 0x48)));
  CHECK_FALSE(decode({}));
  CHECK_FALSE(decode(bytes(0x06)));
}

TEST_CASE("the numbers of a stack check are read from its slow path") {
  StackCheck check;
  // movl $8008, %r10d; xorl %r11d, %r11d; call
  REQUIRE(read_stack_check(bytes(0x41, 0xba, 0x48, 0x1f, 0, 0, 0x45, 0x31, 0xdb, 0xe8, 0, 0, 0, 0), 10, check));
  CHECK((check.frame == 8008 && check.arguments == 0));
  REQUIRE(read_stack_check(bytes(0x45, 0x31, 0xd2, 0x41, 0xbb, 16, 0, 0, 0, 0xe8, 0, 0, 0, 0), 10, check));
  CHECK((check.frame == 0 && check.arguments == 16));
  // movq %r10, %rax; xorl %r11d, %r11d; movl $248, %r10d; call
  REQUIRE(
      read_stack_check(bytes(0x4c, 0x89, 0xd0, 0x45, 0x31, 0xdb, 0x41, 0xba, 0xf8, 0, 0, 0, 0xe8, 0, 0, 0, 0), 13, check));
  CHECK((check.frame == 248 && check.arguments == 0));
  CHECK_FALSE(read_stack_check(bytes(0x90, 0xe8, 0, 0, 0, 0), 2, check));
}

TEST_CASE("an unchecked definition in the place of a goroutine function is named, with the file it came from") {
  const Workshop shop;
  shop.compile("program.cpp",
               "__attribute__((weak, noinline)) int shared(int x) { return x + 1; }\nint main() { return shared(1); }",
               kChecked);
  shop.compile("other.cpp", "int shared(int x) { return x + 2; }", "");
  check_refusal(
      shop, "program.o other.o",
      "shared(int) in program.o has stack checks, but the program got the copy of other.o, which has none: compile that as "
      "goroutine code too, or give one of them another name");
}

TEST_CASE("a call that leaves goroutine code past the thunks is named") {
  const Workshop shop;
  // The names of the stack check's own entries get no thunk, so only a look at the result tells that this is none of them.
  shop.compile("program.cpp", "extern \"C\" int __morestack_alike(int);\nint main() { return __morestack_alike(1) + 1; }",
               kChecked);
  shop.compile("other.cpp", "extern \"C\" int __morestack_alike(int x) { return x; }", "");
  check_refusal(shop, "program.o other.o",
                "main in program.o calls __morestack_alike in other.o, which has no stack check, and not through a thunk: "
                "compile it as "
                "goroutine code, or call it through a pointer");
  REQUIRE(shop.in_folder("g++ -shared -fPIC other.cpp -o libother.so").status == 0);
  check_refusal(
      shop, "program.o ./libother.so",
      "main in program.o calls __morestack_alike, which has no stack check, and not through a thunk: compile it as "
      "goroutine code, or call it through a pointer");
}

TEST_CASE("a tail jump is a call, and so is one through the GOT") {
  const Workshop shop;
  shop.compile("other.cpp", "extern \"C\" int __morestack_alike(int x) { return x; }", "");
  const std::string message =
      "jump(int) in program.o calls __morestack_alike in other.o, which has no stack check, and not through a thunk: "
      "compile it as "
      "goroutine code, or call it through a pointer";
  const std::string text =
      "extern \"C\" int __morestack_alike(int);\nint jump(int x) { return __morestack_alike(x); }\nint main() { return "
      "jump(1); }";
  shop.compile("program.cpp", text, "-O2 " + kChecked);
  check_refusal(shop, "program.o other.o", message);
  shop.compile("program.cpp", text,
               "-O2 -fno-plt -mindirect-branch=keep " + kChecked.substr(0, kChecked.find("-mindirect")));
  check_refusal(shop, "program.o other.o", message);
}

TEST_CASE("a call through a pointer that the runtime does not see is named") {
  const Workshop shop;
  shop.compile("program.cpp",
               "int apply(int (*f)(int)) { return f(3) + 1; }\nint main(int, char** argv) { return "
               "apply(reinterpret_cast<int (*)(int)>(argv)); }",
               kChecked + "-mindirect-branch=keep");
  check_refusal(shop, "program.o",
                "apply(int (*)(int)) in program.o calls through a pointer past the runtime's thunks: compile it with "
                "-mindirect-branch=thunk-extern -mindirect-branch-register, as stacktide_goroutines() does");
}

TEST_CASE("a function that uses stack without a check is named") {
  const Workshop shop;
  shop.compile("program.cpp",
               "__attribute__((no_split_stack, noinline)) int bare(int x);\nint bare(int x) { volatile char big[5000]; "
               "big[x] = 1; return big[x]; }\n"
               "int main() { return bare(1); }",
               kChecked);
  check_refusal(shop, "program.o",
                "bare(int) in program.o has no stack check; move assembly, and functions with no_split_stack, out of the "
                "goroutine target");
}

TEST_CASE("arguments that a stack check does not count are named when they are large") {
  const Workshop shop;
  const std::string text =
      "struct Large { long word[1000]; };\n[[gnu::noinline]] long sum(Large);\n"
      "COLD long call(Large& large) { return sum(large) + 1; }\nlong sum(Large large) { return large.word[1]; }\n"
      "Large large;\nint main() { return static_cast<int>(call(large)); }";
  const std::string message =
      "call(Large&) in program.o takes 8000 bytes of stack more than its check asks for: code that is optimised for size "
      "(-Os, cold) "
      "passes large arguments by value; pass references";
  shop.compile("program.cpp", text, "-O2 '-DCOLD=[[gnu::cold,gnu::noinline]]' " + kChecked);
  check_refusal(shop, "program.o", message);
  shop.compile("program.cpp", text, "-O2 '-DCOLD=[[gnu::noinline]]' " + kChecked);
  CHECK(shop.link("program.o libruntime.a -o program").status == 0);
}

TEST_CASE("code that jumps between stacks by itself is named") {
  const Workshop shop;
  shop.compile("program.c",
               "void* place[5];\nvoid jump(void) { __builtin_longjmp(place, 1); }\nint main(void) { jump(); return 0; }",
               "-x c " + kChecked);
  check_refusal(shop, "program.o",
                "jump in program.o loads the stack pointer (__builtin_longjmp, or a goto out of a nested function): it "
                "saves a stack that "
                "may move or go; throw an exception, or move the code out of the goroutine target");
}

TEST_CASE("a local that is aligned to more than a move keeps is named in movable code, and fine in other code") {
  const Workshop shop;
  const std::string text =
      "int use(char* p) { return *p; }\nint aligned() { alignas(131072) char local[8] = {7}; return use(local); }\n"
      "int fine() { alignas(65536) char local[8] = {8}; return use(local); }\nint main() { return FUNCTION(); }";
  shop.compile("program.cpp", text, kMovable + "-DFUNCTION=aligned");
  check_refusal(shop, "program.o",
                "aligned() in program.o aligns a local to 131072 bytes, and a stack that moves keeps 65536: use less, or "
                "move the function "
                "to a target that is not MOVABLE");
  shop.compile("program.cpp", text, kChecked + "-DFUNCTION=aligned");
  CHECK(shop.link("program.o libruntime.a -o program").status == 0);
  CHECK(shop.in_folder("./program").status == 7);
}

TEST_CASE("flags that undo those of goroutine code are named, wherever they came from") {
  const Workshop shop;
  const auto refusal = [&](const std::string& flags, const std::string& message) {
    shop.compile("program.cpp", "int main(int n, char**) { return n; }", flags);
    check_refusal(
        shop, "program.o",
        "program.o is compiled with " + message + "; set flags before stacktide_goroutines(), or leave this one out",
        {"bfd"});  // found before linking
  };
  refusal(
      kChecked + "-g -fcf-protection=full",
      "-fcf-protection=full, after or without -fcf-protection=none: the stack check must be a function's first instruction");
  refusal(kChecked + "-g0 -fcf-protection=branch",
          "-fcf-protection=branch, after or without -fcf-protection=none: the stack check must be a function's first "
          "instruction");
  refusal(kMovable + "-g -fivopts",
          "-fivopts, after or without -fno-ivopts: it keeps pointers outside their objects, which a move of the stack does "
          "not find");
  refusal(
      kChecked + "-g -fstack-reuse=none -fstack-reuse=all",
      "-fstack-reuse=all, after or without -fstack-reuse=none: two variables in one place of a frame cannot be told apart");
  refusal(kChecked + "-g -mno-accumulate-outgoing-args",
          "-mno-accumulate-outgoing-args, after or without -maccumulate-outgoing-args: the stack check does not count "
          "arguments that are "
          "pushed");
  // Not movable: derived pointers may lie where they like. And the last one counts.
  shop.compile("program.cpp", "int main(int n, char**) { return n; }", "-fcf-protection=full " + kChecked + "-g -fivopts");
  CHECK(shop.link("program.o libruntime.a -o program").status == 0);
}

TEST_CASE("code without stack checks must not start goroutines") {
  const Workshop shop;
  shop.compile("program.cpp", "int main() { return 0; }", kChecked);
  shop.compile("other.cpp", "extern \"C\" void stacktide_go();\nvoid other() { stacktide_go(); }", "");
  check_refusal(
      shop, "program.o other.o",
      "other.o starts goroutines and has no stack checks: call stacktide_goroutines() for its target, and leave out "
      "-fno-split-stack",
      {"bfd"});
}

TEST_CASE("ThreadSanitizer is refused unless the runtime is built for it") {
  const Workshop shop;
  shop.compile("program.cpp", "int main(int, char** v) { return *v == nullptr; }", kChecked + "-fsanitize=thread");
  check_refusal(shop, "program.o",
                "program.o is compiled with -fsanitize=thread, which does not follow goroutines from stack to stack; "
                "compile goroutine "
                "code without it",
                {"bfd"});
}

TEST_CASE("-s and -x are done after verification, with every linker and in every spelling") {
  const Workshop shop;
  shop.compile(
      "program.cpp",
      "static __attribute__((noinline)) int local(int x) { return x + 2; }\nint main(int n, char**) { return local(n); }",
      kChecked);
  for (const std::string& linker : linkers()) {
    CAPTURE(linker);
    for (const std::string option : {"-s", "-Wl,-O1,-s", "-Wl,--strip-all,-O1", "-Xlinker -s"}) {
      CAPTURE(option);
      REQUIRE(shop.link(fmt::format("-fuse-ld={} {} program.o libruntime.a -o program", linker, option)).status == 0);
      CHECK(shop.in_folder("nm program").output.ends_with("no symbols\n"));
      CHECK(shop.in_folder("./program").status == 3);
    }
    REQUIRE(shop.link(fmt::format("-fuse-ld={} -Wl,-x program.o libruntime.a -o program", linker)).status == 0);
    CHECK(shop.in_folder("nm program | grep -c local").output == "0\n");
    CHECK(shop.in_folder("nm program | grep -c main").status == 0);
  }
}

TEST_CASE("functions that the linker drops or folds are no failure, and what remains runs") {
  const Workshop shop;
  shop.compile("program.cpp",
               "#include <cstdio>\nint unused(int x) { std::puts(\"never\"); return x; }\n"
               "int one(int x) { return x * 3 + 1; }\nint two(int x) { return x * 3 + 1; }\n"
               "int main(int n, char**) { std::puts(\"run\"); return one(n) + two(n); }",
               "-O1 -fno-ipa-icf -ffunction-sections " + kChecked);
  for (const std::string& linker : linkers()) {
    for (const std::string option : {"-static", "-Wl,--gc-sections", "-Wl,--icf=all", "-static -Wl,--gc-sections"}) {
      if (linker == "bfd" && option == "-Wl,--icf=all") continue;
      CAPTURE(linker + " " + option);
      const Ran made = shop.link(fmt::format("-fuse-ld={} {} program.o libruntime.a -o program", linker, option));
      CAPTURE(made.output);
      REQUIRE(made.status == 0);
      const Ran ran = shop.in_folder("./program");
      CHECK(ran.output == "run\n");
      CHECK(ran.status == 8);
    }
  }
}
