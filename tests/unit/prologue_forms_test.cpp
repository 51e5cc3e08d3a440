// Stack checks recognised in bytes put down by hand: each form of GCC, of the linkers, of Clang and of Go, and code that
// only looks like one; and the text that explains them.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <initializer_list>
#include <memory>
#include <nlohmann/json.hpp>

#include "analyze/prologue.h"
#include "stacktide/core/command.h"
#include "support/fake_target.h"
#include "view/prologue.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr Address kStart = 0x401000;

using Code = std::vector<std::byte>;

Code code(std::initializer_list<std::initializer_list<int>> parts) {
  Code all;
  for (const auto& part : parts) {
    for (const int byte : part) all.push_back(static_cast<std::byte>(byte));
  }
  return all;
}

std::optional<StackCheck> check_in(const Code& bytes) { return find_check(disassemble(bytes, kStart), {}); }

constexpr std::initializer_list<int> kCompareRsp = {0x64, 0x48, 0x3b, 0x24, 0x25, 0x70, 0, 0, 0};
constexpr std::initializer_list<int> kCompareR11 = {0x64, 0x4c, 0x3b, 0x1c, 0x25, 0x70, 0, 0, 0};
constexpr std::initializer_list<int> kCall = {0xe8, 0x00, 0x10, 0, 0};
constexpr std::initializer_list<int> kRet = {0xc3};

// A frame of 168 bytes, it says, and no stack arguments; of the body only push %rbx, pop %rbx and ret are there.
Code gcc_small() {
  return code({kCompareRsp,
               {0x72, 0x06},
               {0x53},
               {0x90, 0x90, 0x90},
               {0x5b},
               kRet,
               {0x41, 0xba, 0xa8, 0, 0, 0},
               {0x45, 0x31, 0xdb},
               kCall,
               kRet,
               {0xeb, 0xe9}});
}

Code gcc_larger(int low, int high) {
  return code({{0x4c, 0x8d, 0x9c, 0x24, low, high, 0xff, 0xff},
               kCompareR11,
               {0x72, 0x0f},
               {0x48, 0x81, 0xec, 0xf8, 0x03, 0, 0},
               {0x48, 0x81, 0xc4, 0xf8, 0x03, 0, 0},
               kRet,
               {0x41, 0xba, 0xf8, 0x03, 0, 0},
               {0x41, 0xbb, 0x20, 0x03, 0, 0},
               kCall,
               kRet,
               {0xeb, 0xdd}});
}

PrologueModel model_of(const Code& bytes) {
  PrologueModel model;
  model.function.name = "add";
  model.function.module = "/x/frames";
  model.function.start = kStart;
  model.file = "/x/frames.cpp";
  model.line = 30;
  model.bytes = bytes;
  model.code = disassemble(bytes, kStart);
  model.check = find_check(model.code, model.limits);
  model.use =
      stack_use(model.code, model.check ? model.check->body : 0, model.check ? model.check->slow_path : InstructionRange{});
  return model;
}

}  // namespace

TEST_CASE("GCC's form for small frames compares rsp itself; frame and arguments stand in the slow path") {
  const auto found = check_in(gcc_small());
  REQUIRE(found);
  CHECK(found->form == CheckForm::split_stack);
  CHECK(found->size_class == FrameClass::small);
  CHECK(found->frame == 168);
  CHECK(found->arguments == 0);
  CHECK(found->guard == "%fs:0x70");
  CHECK_FALSE(found->compares_frame);
  CHECK_FALSE(found->always);
  CHECK(found->check.end == 2);
  CHECK(found->body == 2);
  CHECK(found->slow_path.size() == 5);
  CHECK(found->callee.has_value());
}

TEST_CASE("the larger form compares rsp less the frame; what a linker added is told from the frame") {
  const auto found = check_in(gcc_larger(0x08, 0xfc));
  REQUIRE(found);
  CHECK(found->size_class == FrameClass::big);
  CHECK(found->frame == 1016);
  CHECK(found->arguments == 800);
  CHECK(found->compares_frame);
  CHECK(found->headroom == 0);
  const auto adjusted = check_in(gcc_larger(0x08, 0xbc));
  REQUIRE(adjusted);
  CHECK(adjusted->frame == 1016);
  CHECK(adjusted->headroom == 16384);
}

TEST_CASE("a huge frame is one of StackBig or more, whatever the target's constants are") {
  auto bytes = gcc_larger(0x08, 0xfc);
  CHECK(find_check(disassemble(bytes, kStart), {256, 1016, 928})->size_class == FrameClass::huge);
  CHECK(find_check(disassemble(bytes, kStart), {2048, 4096, 928})->size_class == FrameClass::small);
}

TEST_CASE("unoptimised code has the slow path first, and with -fcf-protection a landing pad before all") {
  // endbr64; cmpq; jae +18; movl $232, %r10d; movl $0, %r11d; call; ret; push %rbp; mov %rsp, %rbp; sub $224, %rsp
  const auto bytes = code({{0xf3, 0x0f, 0x1e, 0xfa},
                           kCompareRsp,
                           {0x73, 0x12},
                           {0x41, 0xba, 0xe8, 0, 0, 0},
                           {0x41, 0xbb, 0, 0, 0, 0},
                           kCall,
                           kRet,
                           {0x55},
                           {0x48, 0x89, 0xe5},
                           {0x48, 0x81, 0xec, 0xe0, 0, 0, 0},
                           {0xc9},
                           kRet});
  const auto found = check_in(bytes);
  REQUIRE(found);
  CHECK(found->frame == 232);
  CHECK(found->check.begin == 1);
  CHECK(found->slow_path.begin == 3);
  CHECK(found->slow_path.end == 7);
  CHECK(found->body == 7);
  const auto use = stack_use(disassemble(bytes, kStart), found->body, found->slow_path);
  CHECK(use.saved == 8);
  CHECK(use.room == 224);
  CHECK_FALSE(use.calls);
  // Clang branches with ja.
  auto clang = bytes;
  clang[13] = std::byte{0x77};
  CHECK(check_in(clang)->frame == 232);
}

TEST_CASE("where a linker replaced the comparison, the slow path is called each time") {
  auto bytes = gcc_small();
  const auto stc = code({{0xf9}, {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}});
  std::copy(stc.begin(), stc.end(), bytes.begin());
  const auto found = check_in(bytes);
  REQUIRE(found);
  CHECK(found->always);
  CHECK(found->frame == 168);
}

TEST_CASE("Go's forms from 1.17 on: small, big, and huge with its test for a wrap") {
  // cmp 0x10(%r14), %rsp; jbe; sub $0x70, %rsp; add; ret; mov %rax, 8(%rsp); call; mov 8(%rsp), %rax; jmp start
  const auto tail = [](int back) {
    return code({{0x48, 0x89, 0x44, 0x24, 0x08}, kCall, {0x48, 0x8b, 0x44, 0x24, 0x08}, {0xeb, back}});
  };
  auto small = code({{0x49, 0x3b, 0x66, 0x10}, {0x76, 0x09}, {0x48, 0x83, 0xec, 0x70}, {0x48, 0x83, 0xc4, 0x70}, kRet});
  for (const auto byte : tail(0xe0)) small.push_back(byte);
  const auto found = check_in(small);
  REQUIRE(found);
  CHECK(found->form == CheckForm::go);
  CHECK(found->size_class == FrameClass::small);
  CHECK_FALSE(found->frame);
  CHECK_FALSE(found->arguments);
  CHECK(found->guard == "0x10(%r14)");
  CHECK(stack_use(disassemble(small, kStart), found->body, found->slow_path).frame() == 0x70);

  auto big = code({{0x4c, 0x8d, 0xa4, 0x24, 0x40, 0xfd, 0xff, 0xff}, {0x4d, 0x3b, 0x66, 0x10}, {0x76, 0x01}, kRet});
  for (const auto byte : tail(0xe0)) big.push_back(byte);
  REQUIRE(check_in(big));
  CHECK(check_in(big)->size_class == FrameClass::big);
  CHECK(check_in(big)->frame == 832);

  auto huge = code({{0x49, 0x89, 0xe4},
                    {0x49, 0x81, 0xec, 0xe0, 0x1e, 0, 0},
                    {0x72, 0x07},
                    {0x4d, 0x3b, 0x66, 0x10},
                    {0x76, 0x01},
                    kRet});
  for (const auto byte : tail(0xdc)) huge.push_back(byte);
  REQUIRE(check_in(huge));
  CHECK(check_in(huge)->size_class == FrameClass::huge);
  CHECK(check_in(huge)->frame == 8032);
}

TEST_CASE("Go's older forms load g themselves, and avoid the sentinel of preemption in huge frames") {
  const std::initializer_list<int> load = {0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff};  // mov %fs:-8, %rcx
  // cmp 0x10(%rcx), %rsp; jbe +1; ret; call; jmp start
  const auto small = check_in(code({load, {0x48, 0x3b, 0x61, 0x10}, {0x76, 0x01}, kRet, kCall, {0xeb, 0xe9}}));
  REQUIRE(small);
  CHECK(small->guard == "0x10(%rcx)");
  // lea -0x80(%rsp), %rax; cmp 0x10(%rcx), %rax
  const auto big = check_in(
      code({load, {0x48, 0x8d, 0x44, 0x24, 0x80}, {0x48, 0x3b, 0x41, 0x10}, {0x76, 0x01}, kRet, kCall, {0xeb, 0xe4}}));
  REQUIRE(big);
  CHECK(big->frame == 256);
  // mov 0x10(%rcx), %rsi; cmp $-1314, %rsi; je +20; lea 0x3a0(%rsp), %rax; sub %rsi, %rax; cmp $0x2260, %rax; jbe +1
  const auto huge = check_in(code({load,
                                   {0x48, 0x8b, 0x71, 0x10},
                                   {0x48, 0x81, 0xfe, 0xde, 0xfa, 0xff, 0xff},
                                   {0x74, 0x14},
                                   {0x48, 0x8d, 0x84, 0x24, 0xa0, 0x03, 0, 0},
                                   {0x48, 0x29, 0xf0},
                                   {0x48, 0x3d, 0x60, 0x22, 0, 0},
                                   {0x76, 0x01},
                                   kRet,
                                   kCall,
                                   {0xeb, 0xcf}}));
  REQUIRE(huge);
  CHECK(huge->size_class == FrameClass::huge);
  CHECK(huge->frame == 0x2260 - 928 + 128);
  // Position-independent: mov 0x1234(%rip), %rcx; mov %fs:(%rcx), %rcx
  const auto pie = check_in(code({{0x48, 0x8b, 0x0d, 0x34, 0x12, 0, 0},
                                  {0x64, 0x48, 0x8b, 0x09},
                                  {0x48, 0x3b, 0x61, 0x10},
                                  {0x76, 0x01},
                                  kRet,
                                  kCall,
                                  {0xeb, 0xe7}}));
  REQUIRE(pie);
  CHECK(pie->guard == "0x10(%rcx)");
}

TEST_CASE("what only looks like a check is none") {
  CHECK_FALSE(check_in({}));
  CHECK_FALSE(check_in(code({kRet})));
  // The stack protector's slot, and a comparison without a slow path behind its branch.
  CHECK_FALSE(check_in(code({{0x64, 0x48, 0x3b, 0x24, 0x25, 0x28, 0, 0, 0}, {0x72, 0x00}, kRet})));
  CHECK_FALSE(check_in(code({kCompareRsp, {0x72, 0x01}, kRet, kRet})));
  CHECK_FALSE(check_in(code({{0x49, 0x3b, 0x66, 0x10}, {0x76, 0x01}, kRet, kCall, kRet})));
  // Cut off at every byte: never a crash, and a check only once all of it is there.
  const auto whole = gcc_small();
  for (std::size_t size = 0; size + 2 < whole.size(); ++size)
    CHECK_FALSE(check_in(Code(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))).has_value());
}

TEST_CASE("a check is explained instruction by instruction") {
  auto model = model_of(gcc_small());
  REQUIRE(model.check);
  model.runtime = true;
  model.names[*model.check->callee] = "__morestack";
  model.inlined = {{"fill", "/x/frames.cpp", 32}, {"fill", "/x/frames.cpp", 33}, {"std::min", "", 0}};
  CHECK(prologue_text(model, {}) ==
        "add at frames.cpp:30 in frames: 34 bytes of code\n"
        "  class     small: a frame under StackSmall (256), rsp itself is compared\n"
        "  frame     168 bytes, and 0 bytes of stack arguments\n"
        "  guard     %fs:0x70, the running thread's stackguard0: 928 bytes above the stack's end, or a request\n"
        "  grows     when rsp < guard\n"
        "  inlined   fill at frames.cpp:32 x2, std::min\n"
        "  0x401000  <+0>   cmpq %fs:0x70, %rsp  is rsp below the guard? a frame under 256 bytes may go below it\n"
        "  0x401009  <+9>   jb <+17>             yes: to the slow path\n"
        "  0x40100b  <+11>  pushq %rbx           keeps the caller's rbx\n"
        "  ...              5 instructions\n"
        "  0x401011  <+17>  movl $0xa8, %r10d    r10 = 168: bytes of the frame\n"
        "  0x401017  <+23>  xorl %r11d, %r11d    r11 = 0: bytes of stack arguments\n"
        "  0x40101a  <+26>  callq <__morestack>  gets room, and goes on behind the ret\n"
        "  0x40101f  <+31>  retq                 after a linked segment: back to the caller\n"
        "  0x401020  <+32>  jmp <+11>            here with more room: to the body\n");
}

TEST_CASE("without a check the text says why, and JSON has all") {
  auto model = model_of(code({{0x55}, {0x48, 0x89, 0xe5}, {0x48, 0x83, 0xec, 0x20}, kCall, {0xc9}, kRet}));
  model.none = "compiled without stack checks (-fsplit-stack)";
  CHECK(prologue_text(model, {}) ==
        "add at frames.cpp:30 in frames: 15 bytes of code\n"
        "  no check  compiled without stack checks (-fsplit-stack)\n"
        "  frame     40 bytes, as its code says\n"
        "  inlined   not known: no debug information\n"
        "  0x401000  <+0>  pushq %rbp        keeps the caller's rbp\n"
        "  0x401001  <+1>  movq %rsp, %rbp   rbp is the frame pointer\n"
        "  0x401004  <+4>  subq $0x20, %rsp  room for 32 bytes\n");
  const auto json = to_json(model);
  CHECK(json["check"].is_null());
  CHECK(json["no_check"] == model.none);
  CHECK(json["frame_in_code"] == 40);
  CHECK(json["inlined"].is_null());
  CHECK(json["instructions"][2]["bytes"] == "4883ec20");
  const auto with = to_json(model_of(gcc_larger(0x08, 0xfc)));
  CHECK(with["check"]["class"] == "big");
  CHECK(with["check"]["form"] == "split_stack");
  CHECK(with["check"]["arguments"] == 800);
  CHECK(with["instructions"][0]["part"] == "check");
}

TEST_CASE("the command's errors say what to do") {
  const auto error_of = [](const std::vector<std::string>& words) {
    Session session(std::make_unique<FakeTarget>());
    const auto result = run(session, words, {});
    CHECK(result.out == "");
    CHECK(result.exit_code == 2);
    return result.err;
  };
  CHECK(error_of({"prologue"}) == "prologue: of which function? give its name or an address (see help)\n");
  CHECK(error_of({"prologue", "0x1234"}) == "prologue: 0x1234 lies in no module of the target (see help)\n");
  CHECK(
      error_of({"prologue", "add"}) ==
      "prologue: no function is named 'add' or matches it; one that was inlined everywhere has no code: ask for its caller "
      "(see help)\n");
}
