// stackmap and audit on frames put together by hand: what a word is, what its value points to, and how that is written.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "analyze/audit.h"
#include "stacktide/core/command.h"
#include "support/fake_maps.h"
#include "support/fake_runtime.h"
#include "support/fake_snapshot.h"
#include "support/fake_target.h"
#include "view/audit.h"
#include "view/stackmap.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr Address kSp = 0x7f0000007600;
constexpr Address kMaps = 0x500000;

// inner holds a pointer, an array of scalars and the caller's rbx, in which outer keeps n.
FakeMaps example() {
  FakeMaps fake;
  FakeSite inner{0x10,     STACKTIDE_CFA_RSP,
                 64,       STACKTIDE_SHAPE_PINNED,
                 {{0, 1}}, {{STACKTIDE_WORD_FRAME, 2}, {STACKTIDE_WORD_POINTER, 1}, {STACKTIDE_WORD_SCALAR, 3}}};
  inner.variables = {{"p", "long *", -24, 8, STACKTIDE_WORD_POINTER},
                     {"values", "long [3]", -48, 24, STACKTIDE_WORD_SCALAR},
                     {"q", "char *", 0, 8, STACKTIDE_WORD_POINTER, 12}};
  inner.pointers = 1U << 2U;
  FakeSite outer{0x20, STACKTIDE_CFA_RSP, 32, 0, {}, {{STACKTIDE_WORD_FRAME, 1}}};
  outer.scalars = 1U << 0U;
  outer.variables = {{"n", "int", 0, 4, STACKTIDE_WORD_SCALAR, 3}};
  fake.sites = {inner, outer};
  fake.pins = {{0, 0x10, "m", "std::map<int, int>"}};
  return fake;
}

std::vector<MapFrame> frames_of(const FakeMaps& fake) {
  const auto maps = StackMaps::parse(fake.maps(kMaps), kMaps, fake.names());
  REQUIRE(maps);
  std::vector<MapFrame> frames(3);
  const auto place = [&](std::size_t n, const char* function, Address pc, Address sp, std::uint64_t size) {
    auto& frame = frames[n];
    frame.at = test::frame(function, "/x/park.cpp", static_cast<std::uint32_t>(20 + n));
    frame.at.pc = pc;
    frame.at.sp = sp;
    frame.at.cfa = sp + size;
    frame.at.size = size;
    frame.at.segment = 0;
    frame.first_level = frame.level = n;
    frame.site = *maps->site(pc);
    frame.registers.set(Register::rbp, 0x1111);
  };
  place(0, "inner", 0x400010, kSp, 64);
  place(1, "outer", 0x400020, kSp + 64, 32);
  place(2, "start", 0x400099, kSp + 96, 16);
  frames[1].registers.set(Register::rbx, 5);
  frames[0].registers.set(Register::r12, 0x9000);
  return frames;
}

void put_words(FakeMemory& memory) {
  const std::uint64_t words[] = {0, 0, 3, 2, kSp + 8, 0x6000, 5, 0x400020, 0, 0, 0, 0x400099};
  for (std::size_t i = 0; i < std::size(words); ++i) memory.put<std::uint64_t>(kSp + 8 * i, words[i]);
}

CommandResult run_in(const std::vector<std::string>& words, const std::function<void(FakeRuntime&)>& change,
                     const std::function<void(FakeTarget&)>& after = {}) {
  FakeRuntime runtime;
  for (std::uint64_t id = 1; id <= 2; ++id) runtime.goroutines.push_back(FakeRuntime::parked(id));
  if (change) change(runtime);
  auto target = std::make_unique<FakeTarget>();
  runtime.place(target->memory_);
  target->add_module_with_note(0x40000000, runtime.image.address);
  if (after) after(*target);
  Session session(std::move(target));
  return run(session, words, {});
}

}  // namespace

TEST_CASE("a saved register is what it is in the caller, through frames that do not touch it") {
  auto frames = frames_of(example());
  const auto rbx = register_meaning(frames, 1, 3);
  CHECK(rbx.kind == WordKind::scalar);
  CHECK(rbx.frame == 1);
  CHECK(rbx.variable->name == "n");
  CHECK(register_meaning(frames, 0, 3).kind == WordKind::unknown);   // inner saves it: from there on it is outer's no more
  CHECK(register_meaning(frames, 0, 12).kind == WordKind::pointer);  // r12
  CHECK(register_meaning(frames, 0, 13).kind == WordKind::unknown);  // nobody knows
  frames[0].site->saved[0].reset();
  CHECK(register_meaning(frames, 0, 3).frame == 1);
  frames[0].site->cfa_rule = STACKTIDE_CFA_AT_RBP;
  CHECK(register_meaning(frames, 0, 3).kind == WordKind::unknown);
}

TEST_CASE("a frame is drawn word by word, with kinds, variables, values and what they point to") {
  FakeMemory memory;
  put_words(memory);
  const auto frames = frames_of(example());
  auto snapshot = snapshot_of({parked(7)});
  StackmapModel model{snapshot.goroutines[0], frames, {}, true, "", false};
  for (std::size_t i = 0; i < frames.size(); ++i) {
    PicturedFrame pictured;
    pictured.index = i;
    for (auto& word : words_of(frames[i], memory)) {
      PicturedWord one;
      if (word.saved) one.caller = register_meaning(frames, i + 1, *word.saved);
      one.word = std::move(word);
      pictured.words.push_back(std::move(one));
    }
    model.pictured.push_back(std::move(pictured));
  }
  Place own;
  own.kind = PlaceKind::stack;
  own.goroutine = 7;
  own.frame = FrameSpot{0, "inner", "", 0, 0, -56, "", ""};
  model.pictured[0].words[3].place = own;
  Place other = own;
  other.goroutine = 9;
  other.frame->variable = "n";
  model.pictured[0].words[2].place = other;
  model.pictured[1].words[1].place = own;
  const auto& q = frames[0].site->variables[2];
  model.pictured[0].pinned_by = {{{"m", "std::map<int, int>"}}, true};
  model.pictured[0].registers.push_back({12, WordKind::pointer, &q, 0x9000, {}});
  CHECK(stackmap_text(model, {}) ==
        "goroutine 7 [chan receive]:\n"
        "#0 inner at park.cpp:20: CFA 0x7f0000007640 = rsp+64, 64 bytes, pinned by std::map<int, int> m\n"
        "  CFA-8   return address  0x400020\n"
        "  CFA-16  saved rbx       0x5                        scalar in #1 outer (n)\n"
        "  CFA-24  pointer         0x6000          p          long *  ! -> goroutine 9: n in #0 inner\n"
        "  CFA-32  scalar          0x7f0000007608  values+16  long [3]  looks like #0 inner CFA-56\n"
        "  CFA-40  scalar          0x2             values+8   long [3]\n"
        "  CFA-48  scalar          0x3             values     long [3]\n"
        "  CFA-56  unknown         0x0\n"
        "  CFA-64  unknown         0x0\n"
        "  r12     pointer         0x9000          q          char *\n"
        "#1 outer at park.cpp:21: CFA 0x7f0000007660 = rsp+32, 32 bytes\n"
        "  CFA-8   return address  0x400099\n"
        "  CFA-16  unknown         0x0       -> #0 inner CFA-56\n"
        "  CFA-24  unknown         0x0\n"
        "  CFA-32  unknown         0x0\n"
        "#2 start at park.cpp:22: 16 bytes, no record\n");
  const auto json = to_json(model);
  CHECK(json["frames"][0]["words"][1]["caller"]["variable"] == "n");
  CHECK(json["frames"][0]["words"][2]["place"]["goroutine"] == 9);
  CHECK(json["frames"][2]["recorded"] == false);
}

TEST_CASE("what pins is named as far as the maps have names, and a frame on another segment is marked") {
  CHECK(pinned_text({{}, false}) == "pinned");
  CHECK(pinned_text({{}, true}) == "pinned: not MOVABLE");
  CHECK(pinned_text({{{"", "no debug information"}}, true}) == "pinned by no debug information");
  CHECK(pinned_text({{{"m", "std::map<int, int>"}, {"s", "std::set<int>"}}, true}) ==
        "pinned by std::map<int, int> m and 1 more");
  auto frames = frames_of(example());
  frames[1].at.segment = frames[2].at.segment = 1;
  auto snapshot = snapshot_of({parked(7)});
  StackmapModel model{snapshot.goroutines[0], frames, {}, true, "", false};
  for (std::size_t i = 0; i < frames.size(); ++i) model.pictured.push_back({i, {{}, true}, {}, {}});
  CHECK(stackmap_text(model, {}) ==
        "goroutine 7 [chan receive]:\n"
        "#0 inner at park.cpp:20: CFA 0x7f0000007640 = rsp+64, 64 bytes, pinned: not MOVABLE\n"
        "  and 8 words below\n"
        "--- segment 1\n"
        "#1 outer at park.cpp:21: CFA 0x7f0000007660 = rsp+32, 32 bytes\n"
        "  and 4 words below\n"
        "#2 start at park.cpp:22: 16 bytes, no record\n");
}

TEST_CASE("runs of equal words share a row, unless all are wanted") {
  FakeMaps fake;
  FakeSite site{0x10, STACKTIDE_CFA_RSP, 168, 0, {}, {{STACKTIDE_WORD_FRAME, 1}, {STACKTIDE_WORD_SCALAR, 20}}};
  site.variables = {{"buffer", "long [20]", -168, 160, STACKTIDE_WORD_SCALAR}};
  fake.sites = {site, {0x20}};
  FakeMemory memory;
  for (Address at = kSp; at < kSp + 168; at += 8) memory.put<std::uint64_t>(at, 1);
  auto frames = frames_of(fake);
  frames[0].at.cfa = kSp + 168;
  frames[0].at.size = 168;
  auto snapshot = snapshot_of({parked(7)});
  StackmapModel model{snapshot.goroutines[0], frames, {}, false, "pc 0x1 is in no module", false};
  PicturedFrame pictured;
  for (auto& word : words_of(frames[0], memory)) pictured.words.push_back({std::move(word), {}, {}});
  model.pictured.push_back(std::move(pictured));
  CHECK(stackmap_text(model, {}) ==
        "goroutine 7 [chan receive]:\n"
        "#0 inner at park.cpp:20: CFA 0x7f00000076a8 = rsp+168, 168 bytes\n"
        "  CFA-8         return address  0x1\n"
        "  CFA-16..-168  scalar          20 words  buffer  long [20]\n"
        "(stopped: pc 0x1 is in no module)\n");
  model.every_word = true;
  CHECK(stackmap_text(model, {}).find("CFA-16   scalar          0x1  buffer+152  long [20]\n") != std::string::npos);
}

TEST_CASE("a word that cannot be read is said to be so, and the others are shown") {
  FakeMemory memory;
  put_words(memory);
  memory.punch(kSp + 40, 1);
  const auto words = words_of(frames_of(example())[0], memory);
  REQUIRE(words.size() == 8);
  CHECK_FALSE(words[2].value);
  CHECK(words[1].value == 5);
}

TEST_CASE("variables that lie over each other and over all of a frame are not all named") {
  FakeMaps fake;
  FakeSite site{0x10, STACKTIDE_CFA_RSP, 8 << 20, 0, {}, {{STACKTIDE_WORD_FRAME, 1}}};
  site.variables = {{"first", "int", -16, 4}, {"empty", "int [0]", -12, 0}, {"above", "int", 8, 8}};
  for (int i = 0; i < 60'000; ++i) site.variables.push_back({"n", "int", INT32_MIN, UINT32_MAX});
  fake.sites = {site};
  const auto maps = StackMaps::parse(fake.maps(kMaps), kMaps, fake.names());
  REQUIRE(maps);
  const auto found = maps->site(0x400010);
  REQUIRE((found && *found));
  const auto words = words_of(**found);
  REQUIRE(words.size() == 1U << 20);
  CHECK(variables_text(words[1]) == "first, n+2147483632, n+2147483632, n+2147483632, 1 more");
  CHECK(words.back().variables.size() < 64);
}

TEST_CASE("the map of a function has its sites, words in runs, registers, and what pins it") {
  const auto fake = example();
  const auto maps = StackMaps::parse(fake.maps(kMaps), kMaps, fake.names());
  FunctionMap function;
  function.function.name = "inner";
  function.function.module = "/x/park";
  function.function.start = 0x400000;
  function.sites = {**maps->site(0x400010), **maps->site(0x400020)};
  function.places = {frame("inner", "/x/park.cpp", 20), frame("inner", "", 0)};
  function.pinned_by = {maps->pins(0x400010), true};
  CHECK(function_map_text(function, {}) ==
        "inner in park: 2 sites\n"
        "  pinned by std::map<int, int> m\n"
        "  0x400010 <+16> at park.cpp:20: CFA = rsp+64, pinned\n"
        "    CFA-8        return address\n"
        "    CFA-16       saved rbx\n"
        "    CFA-24       pointer                  p       long *\n"
        "    CFA-32..-48  scalar          3 words  values  long [3]\n"
        "    CFA-56..-64  unknown         2 words\n"
        "    r12 pointer q (char *)\n"
        "  0x400020 <+32>: CFA = rsp+32\n"
        "    CFA-8        return address\n"
        "    CFA-16..-32  unknown         3 words\n"
        "    rbx scalar n (int)\n");
  CHECK(to_json(function)["sites"][0]["words"][3]["count"] == 3);
}

TEST_CASE("frames by records alone are compared with unwinding") {
  FakeMemory memory;
  put_words(memory);
  auto snapshot = snapshot_of({parked(7)});
  const auto& g = snapshot.goroutines[0];
  auto frames = frames_of(example());
  CHECK(compare_walks(g, frames, memory).empty());
  frames[1].at.cfa += 8;
  auto found = compare_walks(g, frames, memory);
  REQUIRE(found.size() == 1);
  CHECK(found[0].text == "its record puts the CFA at 0x7f0000007660, unwinding at 0x7f0000007668");
  CHECK(found[0].level == 1);
  frames = frames_of(example());
  frames[2].at.pc = 0x400077;
  found = compare_walks(g, frames, memory);
  REQUIRE(found.size() == 1);
  CHECK(found[0].text == "its record returns to 0x400099, unwinding to 0x400077");
  memory.punch(kSp + 56, 8);
  CHECK(compare_walks(g, frames, memory)[0].text.starts_with("its record leads nowhere: a read of 8 bytes fails at"));
}

TEST_CASE("an audit is a line each, findings first, and a summary") {
  Audit audit;
  audit.goroutines = 12;
  audit.frames = 340;
  auto snapshot = snapshot_of({parked(7)});
  const auto frames = frames_of(example());
  audit.entries.push_back(frame_entry(snapshot.goroutines[0], frames[0], "lookalike", "values at CFA-48 is 0x1, which ..."));
  audit.entries[0].note = true;
  audit.entries.push_back(
      frame_entry(snapshot.goroutines[0], frames[0], "pointer_to_freed_stack", "p at CFA-24 is 0x2: ..."));
  CHECK(audit_text(audit, 10) ==
        "finding: goroutine 7: #0 inner (park.cpp:20): p at CFA-24 is 0x2: ...\n"
        "note: goroutine 7: #0 inner (park.cpp:20): values at CFA-48 is 0x1, which ...\n"
        "12 goroutines audited, 340 frames, 1 finding, 1 note\n");
  audit.skipped = 3;
  CHECK(audit_text(audit, 1).ends_with(
      "1 more: --all\n"
      "12 goroutines audited, 340 frames, 1 finding, 1 note; 3 goroutines could not be audited: registers not known\n"));
  const auto json = nlohmann::json::parse(audit_json(snapshot, audit));
  CHECK(json["findings"][0]["kind"] == "pointer_to_freed_stack");
  CHECK(json["counts"]["notes"] == 1);
}

TEST_CASE("without maps, stackmap says what to do, and the audit does the rest") {
  const auto none = run_in({"stackmap", "1"}, {});
  CHECK(none.out == "");
  CHECK(
      none.err ==
      "the program has no stack maps: link it with stacktide_goroutines(target), by a stacktide-link that writes them, and "
      "with -g\n");
  CHECK(none.exit_code == 2);
  const auto older =
      run_in({"stackmap", "1"}, [](FakeRuntime& runtime) { runtime.image.contract("stack_maps").version = 9; });
  CHECK(older.err ==
        "contract stack_maps is version 9, this stacktide knows 1: stackmap is off (a newer stacktide may know it)\n");
  const auto canary =
      run_in({"audit"}, {}, [](FakeTarget& target) { target.memory_.put<std::uint64_t>(0x7f0000020000, 1); });
  CHECK(canary.out ==
        "finding: goroutine 2: the canary at 0x7f0000020000 is overwritten with 0x1: its stack overflowed\n"
        "finding: all 2 goroutines wait, and nothing is left that could wake one: deadlock\n"
        "2 goroutines audited, 0 frames, 2 findings, 0 notes\n");
  CHECK(canary.err.starts_with("warning: pointers in frames are not audited: the program has no stack maps"));
  CHECK(canary.exit_code == 1);
  const auto guard = run_in({"audit"}, [](FakeRuntime& runtime) { runtime.goroutines[0]["stackguard0"] = 5; });
  CHECK(guard.out.starts_with("finding: goroutine 1: stackguard0 is 0x5, neither its guard 0x7f00000103a0 nor a request\n"));
}

TEST_CASE("maps are read, a function that is not there is a usage error, and damaged maps are told") {
  const auto with_maps = [](FakeRuntime& runtime) {
    runtime.stack_maps = {{"address", kMaps}, {"size", example().maps(kMaps).size()}, {"walks", 3}};
  };
  const auto put = [](FakeTarget& target) { target.memory_.put_bytes(kMaps, example().maps(kMaps)); };
  CHECK(run_in({"stackmap", "nothing"}, with_maps, put).err ==
        "stackmap: no function with stack checks matches 'nothing' (see help)\n");
  CHECK(run_in({"stackmap", "0x1234"}, with_maps, put).err ==
        "stackmap: 0x1234 lies in no function with stack checks (see help)\n");
  CHECK(run_in({"stackmap", "0x400010"}, with_maps, put).out.starts_with("0x400010 in : 1 site\n"));
  CHECK(run_in({"stackmap", "1", "--frame", "77"}, with_maps, put).err ==
        "stackmap: goroutine 1 has no frame 77, only 1 (see help)\n");
  CHECK(run_in({"runtime"}, with_maps, put).out.find("adjust maps\n            3 walks by record") != std::string::npos);
  const auto damaged = run_in({"stackmap", "1"}, with_maps, [](FakeTarget& target) {
    auto maps = example().maps(kMaps);
    at<stacktide_maps_header>(maps, 0).version = 2;
    target.memory_.put_bytes(kMaps, maps);
  });
  CHECK(damaged.err == "stack maps are version 2, this stacktide knows 1 (a newer stacktide may know it)\n");
}
