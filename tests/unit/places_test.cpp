// Where an address lies: stacks in use, stacks that were left, the arena, threads, and what `whereis` says of each.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "analyze/stack_places.h"
#include "stacktide/core/command.h"
#include "support/fake_runtime.h"
#include "support/fake_snapshot.h"
#include "support/fake_target.h"
#include "view/views.h"
#include "walk/arena.h"
#include "walk/walker.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

StackEvent move(std::int64_t time, std::string kind, Address from, std::uint64_t old_size, Address to,
                std::uint64_t new_size) {
  StackEvent event;
  event.time = time;
  event.goroutine = 7;
  event.kind = std::move(kind);
  event.old_lo = from;
  event.old_size = old_size;
  event.new_lo = to;
  event.new_size = new_size;
  return event;
}

// Goroutine 7, whose stack of 2048 bytes is the last of three.
Snapshot moved_twice() {
  auto snapshot = snapshot_of({parked(7), parked(8)});
  snapshot.events = {move(1000, "grow", 0x10000, 2048, 0x20000, 4096),
                     move(2000, "shrink", 0x20000, 4096, snapshot.goroutines[0].stack.lo, 2048)};
  snapshot.events[0].pc = 0x401000;
  snapshot.events[0].function = "recurse";
  snapshot.events[0].file = "/x/grow.cpp";
  snapshot.events[0].line = 21;
  snapshot.events[0].number = 3;
  return snapshot;
}

constexpr Address kArena = 0x10000000;

// An arena of two units: one cut in stacks of 4096 bytes, and one never used.
FakeRuntime with_arena() {
  FakeRuntime runtime;
  runtime.goroutines.push_back(FakeRuntime::parked(1));
  runtime.scheduler["arena_lo"] = kArena;
  runtime.scheduler["arena_hi"] = kArena + 2 * 65536;
  runtime.spans = {{{"lo", kArena}, {"size", 65536}, {"stack_size", 4096}, {"first", 4096}, {"stacks", 15}, {"state", 1}},
                   {}};
  runtime.stack_cells = {{3, {{"freed_by", 12}, {"next", 0}}}, {5, {{"next", 0xffffffff}}}, {7, {}}};
  return runtime;
}

CommandResult whereis(FakeRuntime runtime, const std::vector<std::string>& words,
                      const std::function<void(FakeTarget&)>& change = {}) {
  auto target = std::make_unique<FakeTarget>();
  runtime.place(target->memory_);
  target->add_module_with_note(0x40000000, runtime.image.address);
  if (change) change(*target);
  Session session(std::move(target));
  return run(session, words, {});
}

}  // namespace

TEST_CASE("an address in use is found by goroutine, segment, and side of sp") {
  auto snapshot = snapshot_of({parked(7), parked(8)});
  snapshot.goroutines[1].stack.segments.push_back({0x10000, 0x12000, 0x11000, 0x401234});
  const StackIndex index(snapshot);
  const auto& stack = snapshot.goroutines[0].stack;
  REQUIRE(index.find(stack.sp));
  CHECK(index.find(stack.sp)->goroutine->id == 7);
  CHECK(index.find(stack.sp)->used);
  CHECK_FALSE(index.find(stack.sp - 1)->used);
  CHECK(index.find(stack.lo));
  CHECK_FALSE(index.find(stack.hi));
  CHECK_FALSE(index.find(stack.lo - 1));
  CHECK(index.find(0x11fff)->segment == 1);
  CHECK(index.find(0x11fff)->goroutine->id == 8);
}

TEST_CASE("a stack that was left tells by its events where the object went: as far from the end as before") {
  auto snapshot = moved_twice();
  const auto& stack = snapshot.goroutines[0].stack;
  const auto first = departure_of(snapshot, 0x10000 + 2048 - 100);
  REQUIRE(first);
  CHECK(first->fate == Fate::moved);
  CHECK(first->moves == 2);
  CHECK(first->now == stack.hi - 100);
  CHECK(departure_of(snapshot, 0x20000 + 4096 - 100)->moves == 1);
  CHECK_FALSE(departure_of(snapshot, 0x10000 + 2048));

  snapshot.events.pop_back();
  CHECK(departure_of(snapshot, 0x10000)->fate == Fate::lost);
  snapshot.goroutines.erase(snapshot.goroutines.begin());
  CHECK(departure_of(snapshot, 0x10000)->fate == Fate::ended);
  snapshot.events = {move(1, "release", 0x10000, 8192, 0x20000, 4096)};
  CHECK(departure_of(snapshot, 0x10000)->fate == Fate::returned);
  snapshot.events = {move(1, "link", 0x10000, 8192, 0x20000, 4096)};
  CHECK_FALSE(departure_of(snapshot, 0x10000));
}

TEST_CASE("copies that lead in a circle end, since time goes on") {
  auto snapshot = moved_twice();
  snapshot.events = {move(1, "grow", 0x10000, 2048, 0x20000, 2048), move(1, "grow", 0x20000, 2048, 0x10000, 2048)};
  CHECK(departure_of(snapshot, 0x10000)->moves == 1);
  snapshot.events[1].time = 2;
  CHECK(departure_of(snapshot, 0x10000)->moves == 2);
}

TEST_CASE("whereis writes of a stack in use, with frame and variable, and of one that was left") {
  auto snapshot = moved_twice();
  const auto& stack = snapshot.goroutines[0].stack;
  Place place;
  place.address = stack.hi - 100;
  place.kind = PlaceKind::stack;
  place.goroutine = 7;
  place.lo = stack.lo;
  place.hi = stack.hi;
  place.sp = stack.sp;
  place.used = true;
  place.frame = FrameSpot{3, "park_below", "/x/park.cpp", 20, 0x401000, -24, "values+24", "long [4]"};
  CHECK(whereis_text(snapshot, place, {}) ==
        "0x7f000000779c: in the stack of goroutine 7: [0x7f0000007000, 0x7f0000007800), 2048 bytes\n"
        "  part   used, 100 bytes below hi\n"
        "  where  frame #3 park_below (park.cpp:20), variable `values+24` (long [4])\n");
  CHECK(place_in_short(place, 7) == "values+24 in #3 park_below");
  CHECK(place_in_short(place, 8) == "goroutine 7: values+24 in #3 park_below");
  place.frame->variable.clear();
  CHECK(place_in_short(place, 7) == "#3 park_below CFA-24");

  Place left;
  left.address = 0x10000 + 2048 - 100;
  left.kind = PlaceKind::left_stack;
  left.goroutine = 7;
  left.lo = 0x10000;
  left.hi = 0x10800;
  left.departure = departure_of(snapshot, left.address);
  left.now = FrameSpot{3, "park", "/x/park.cpp", 20, 0x401000, -24, "n", "long"};
  CHECK(whereis_text(snapshot, left, {}) ==
        "0x1079c: in a stack that goroutine 7 left: [0x10000, 0x10800), 2048 bytes\n"
        "  left by  growth, event 3 of ring 0, at 0.000000 s: 2048 -> 4096 bytes, in recurse (grow.cpp:21)\n"
        "  now      the object is at 0x7f000000779c, after 2 moves: frame #3 park (park.cpp:20), variable `n` (long)\n");
  CHECK(place_in_short(left, 7) == "a stack that goroutine 7 left (growth); the object is at 0x7f000000779c now");
}

TEST_CASE("the arena is asked by one span and one cell") {
  auto runtime = with_arena();
  FakeTarget target;
  runtime.place(target.memory_);
  const auto descriptor = read_descriptor(target.memory_, runtime.image.address);
  REQUIRE(descriptor);
  const auto layout = make_layout(*descriptor);
  const auto snapshot = walk(target, *descriptor, layout);
  const auto at = [&](Address address) { return arena_place(target.memory_, *descriptor, layout, snapshot, address); };
  REQUIRE(at(kArena + 4096 + 100));
  const auto freed = **at(kArena + 4096 + 100);
  CHECK(freed.state == ArenaPlace::State::freed);
  CHECK(freed.lo == kArena + 4096);
  CHECK(freed.hi == kArena + 8192);
  CHECK(freed.freed_by == 12);
  CHECK((*at(kArena + 8192))->state == ArenaPlace::State::in_use);
  CHECK((*at(kArena + 12'288))->freed_by == 0);
  CHECK((*at(kArena + 100))->state == ArenaPlace::State::unused);
  CHECK((*at(kArena + 70'000))->state == ArenaPlace::State::unused);
  CHECK_FALSE(*at(kArena - 1));
  CHECK_FALSE(*at(kArena + 2 * 65536));
}

TEST_CASE("a span and cells that make no sense are no stack") {
  const auto state_of = [](const Values& span) {
    auto runtime = with_arena();
    for (const auto& [name, value] : span) runtime.spans[0][name] = value;
    FakeTarget target;
    runtime.place(target.memory_);
    const auto descriptor = read_descriptor(target.memory_, runtime.image.address);
    const auto layout = make_layout(*descriptor);
    const auto place = arena_place(target.memory_, *descriptor, layout, walk(target, *descriptor, layout), kArena + 5000);
    return place && *place ? (*place)->state : ArenaPlace::State::unused;
  };
  CHECK(state_of({}) == ArenaPlace::State::freed);
  CHECK(state_of({{"state", 4}}) == ArenaPlace::State::unmapped);
  CHECK(state_of({{"state", 2}}) == ArenaPlace::State::unused);
  CHECK(state_of({{"stack_size", 0}}) == ArenaPlace::State::unused);
  CHECK(state_of({{"lo", kArena + 65536}, {"size", 0}}) == ArenaPlace::State::unused);
  CHECK(state_of({{"lo", 5}, {"size", 0}}) == ArenaPlace::State::unused);
  CHECK(state_of({{"size", 0}}) == ArenaPlace::State::unused);
  CHECK(state_of({{"first", ~0ULL}}) == ArenaPlace::State::unused);
  CHECK(state_of({{"stack_size", ~0ULL}}) == ArenaPlace::State::unused);
}

TEST_CASE("whereis finds stacks, freed stacks, threads' stacks, modules and memory in a target") {
  auto runtime = with_arena();
  runtime.ms.push_back({{"id", 4}, {"tid", 555}, {"stack_lo", 0x20000000}, {"stack_hi", 0x20010000}});
  const auto stack = whereis(runtime, {"whereis", "0x7f0000010100"});
  CHECK(stack.out ==
        "0x7f0000010100: in the stack of goroutine 1: [0x7f0000010000, 0x7f0000010800), 2048 bytes\n"
        "  part  unused, 1480 bytes below sp\n");
  CHECK(stack.exit_code == 0);
  CHECK(whereis(runtime, {"whereis", "0x10001064"}).out ==
        "0x10001064: in a stack that goroutine 12 gave back: [0x10001000, 0x10002000), 4096 bytes\n");
  CHECK(whereis(runtime, {"whereis", "0x10010000"}).out == "0x10010000: in the arena for stacks, where no stack is\n");
  CHECK(whereis(runtime, {"whereis", "0x10002000"}).out ==
        "0x10002000: in the arena for stacks, in a stack that no goroutine has: [0x10002000, 0x10003000), 4096 bytes\n");
  CHECK(whereis(runtime, {"whereis", "0x20000100"}).out ==
        "0x20000100: in the system stack of M 4 (thread 555): [0x20000000, 0x20010000), 65,536 bytes\n"
        "  part  65,280 bytes below hi; sp is not known\n");
  CHECK(whereis(runtime, {"whereis", "0x40000000"}).out == "0x40000000: data, /usr/bin/fake\n");
  CHECK(whereis(runtime, {"whereis", "0x200000"}).out ==
        "0x200000: heap or other memory\n"
        "  object  goroutine 1 [chan receive]\n");
  const auto absent = whereis(runtime, {"whereis", "4096"});
  CHECK(absent.out == "0x1000: absent: not mapped, or left out of the core\n");
  CHECK(absent.exit_code == 1);
  const auto json = nlohmann::json::parse(whereis(runtime, {"whereis", "0x10001064", "--json"}).out)["place"];
  CHECK(json["kind"] == "freed_stack");
  CHECK(json["goroutine"] == 12);
  CHECK(json["lo"] == "0x10001000");
  CHECK(whereis(runtime, {"whereis"}).err == "whereis: which address? (see help)\n");
  CHECK(whereis(runtime, {"whereis", "0xzz"}).err == "whereis: '0xzz' is not an address (see help)\n");
}
