#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "walk/walker.h"

#include <doctest/doctest.h>

#include <functional>

#include "support/fake_walk.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

Snapshot walk_one(const Values& changes) {
  FakeRuntime runtime;
  runtime.goroutines.push_back(FakeRuntime::parked(7));
  for (const auto& [name, value] : changes) runtime.goroutines[0][name] = value;
  return walk_it(runtime);
}

}  // namespace

TEST_CASE("a parked goroutine is read in full") {
  FakeRuntime runtime;
  runtime.goroutines.push_back(FakeRuntime::parked(7));
  runtime.goroutines[0].insert({{"wait_since", 400'000'000},
                                {"wait_object", 0x9000},
                                {"parent", 3},
                                {"flags", 3},
                                {"creation_pc", 0x402000},
                                {"entry_pc", 0x403000},
                                {"grows", 2},
                                {"links", 1},
                                {"shrinks", 4},
                                {"hot_splits", 5},
                                {"bytes_copied", 6}});
  runtime.labels[0] = "reader \x1b[31m";
  const auto snapshot = walk_it(runtime);
  REQUIRE(snapshot.goroutines.size() == 1);
  const auto& g = snapshot.goroutines[0];
  CHECK(g.id == 7);
  CHECK(g.address == FakeRuntime::kSlab);
  CHECK(g.status == "waiting");
  CHECK(g.wait_reason == "chan receive");
  CHECK(g.wait_ns == 600'000'000);
  CHECK(g.wait_object == 0x9000);
  CHECK(g.label == "reader \\x1b[31m");
  CHECK(g.system);
  CHECK(g.locked);
  CHECK(g.parent == 3);
  CHECK(g.creation_pc == 0x402000);
  CHECK(g.entry_pc == 0x403000);
  CHECK(g.registers.get(Register::rip) == 0x401000);
  CHECK(g.registers.get(Register::rsp) == kLo + 0x70000 + 2048 - 312);
  CHECK(g.registers.get(Register::rbp) == kLo + 0x70000 + 2000);
  CHECK_FALSE(g.registers.get(Register::rbx));
  CHECK_FALSE(g.registers_live);
  CHECK(g.stack.lo == kLo + 0x70000);
  CHECK(g.stack.size == 2048);
  CHECK(g.stack.used == 312);
  CHECK(g.stack.headroom == 2048 - 312 - 928);
  CHECK(g.stack.high_water == 700);
  CHECK(g.stack.guard_state == GuardState::armed);
  CHECK(g.stack.segments.size() == 1);
  CHECK(g.grows == 2);
  CHECK(g.links == 1);
  CHECK(g.shrinks == 4);
  CHECK(g.hot_splits == 5);
  CHECK(g.bytes_copied == 6);
  CHECK(g.damage.empty());
  CHECK(snapshot.goroutine_counts.total == 1);
  CHECK(snapshot.goroutine_counts.read == 1);
  CHECK(snapshot.goroutine_counts.skipped == 0);
  CHECK(snapshot.damage.empty());
  CHECK(snapshot.runtime.version == "fake 1.2");
  CHECK(snapshot.runtime.descriptor == 0x10000);
  CHECK(snapshot.now == 1'000'000'000);
}

TEST_CASE("goroutines come by id, free records not at all") {
  FakeRuntime runtime;
  for (const auto id : {9, 0, 3}) runtime.goroutines.push_back(FakeRuntime::parked(static_cast<std::uint64_t>(id)));
  auto snapshot = walk_it(runtime);
  REQUIRE(snapshot.goroutines.size() == 2);
  CHECK(snapshot.goroutines[0].id == 3);
  CHECK(snapshot.goroutines[1].id == 9);
  CHECK(snapshot.find(9) == &snapshot.goroutines[1]);
  CHECK(snapshot.find(4) == nullptr);
  CHECK(snapshot.goroutine_counts.total == 2);
}

TEST_CASE("an id that is there twice is damage of the second") {
  FakeRuntime runtime;
  runtime.goroutines = {FakeRuntime::parked(5), FakeRuntime::parked(5)};
  const auto snapshot = walk_it(runtime);
  CHECK(snapshot.goroutines[0].damage.empty());
  CHECK(only_damage(snapshot.goroutines[1]) == "the id 5 belongs to the record at 0x200000 too");
}

TEST_CASE("guards are decoded") {
  const auto state = [](std::uint64_t slot) { return walk_one({{"stackguard0", slot}}).goroutines[0].stack.guard_state; };
  CHECK(state(static_cast<std::uint64_t>(-1314)) == GuardState::preempt);
  CHECK(state(static_cast<std::uint64_t>(-275)) == GuardState::force_move);
  CHECK(state(0) == GuardState::none);
  CHECK(state(0x1234) == GuardState::corrupt);
}

TEST_CASE("a record that contradicts itself stays, with what is wrong") {
  CHECK(only_damage(walk_one({{"sequence", 3}}).goroutines[0]) == "goroutine 7: changing while it is read");
  CHECK(only_damage(walk_one({{"status", 99}}).goroutines[0]) == "goroutine 7: its status 99 has no name");
  CHECK(walk_one({{"status", 99}}).goroutines[0].status == "unknown (99)");
  CHECK(only_damage(walk_one({{"stack_hi", kLo}}).goroutines[0]) ==
        "goroutine 7: its stack [0x7f0000070000, 0x7f0000000000) is empty");
  CHECK(only_damage(walk_one({{"sp", 0x1000}}).goroutines[0]) ==
        "goroutine 7: its sp 0x1000 is outside its stack [0x7f0000070000, 0x7f0000070800)");
  const auto bad_guard = walk_one({{"stackguard", kLo}});
  CHECK(only_damage(bad_guard.goroutines[0]) ==
        "goroutine 7: its guard 0x7f0000000000 is not 928 bytes above lo 0x7f0000070000");
  CHECK(bad_guard.goroutines[0].stack.used == 312);
}

TEST_CASE("a wait that began in the future lasts no time, one without a beginning has none") {
  CHECK(walk_one({{"wait_since", 2'000'000'000}}).goroutines[0].wait_ns == 0);
  CHECK_FALSE(walk_one({}).goroutines[0].wait_ns);
}

TEST_CASE("the high-water mark is at least what is in use") {
  CHECK(walk_one({{"high_water", 10}}).goroutines[0].stack.high_water == 312);
}

TEST_CASE("a dead goroutine needs no stack") {
  const auto snapshot =
      walk_one({{"status", 6}, {"stack_lo", 0}, {"stack_hi", 0}, {"sp", 0}, {"stackguard", 0}, {"stackguard0", 0}});
  CHECK(snapshot.goroutines[0].damage.empty());
  CHECK(snapshot.goroutines[0].stack.segments.empty());
}

TEST_CASE("segments are followed from the newest to the oldest") {
  FakeRuntime runtime;
  runtime.goroutines.push_back(FakeRuntime::parked(7));
  runtime.goroutines[0]["segments"] = 0x800000;
  runtime.segments[0x800000] = {{"lo", 0x10000}, {"hi", 0x12000}, {"sp", 0x11000}, {"pc", 0x401234}, {"previous", 0x800100}};
  runtime.segments[0x800100] = {{"lo", 0x20000}, {"hi", 0x20800}, {"sp", 0x20700}, {"pc", 0x401235}};
  const auto snapshot = walk_it(runtime);
  const auto& stack = snapshot.goroutines[0].stack;
  REQUIRE(stack.segments.size() == 3);
  CHECK(stack.segments[1].pc == 0x401234);
  CHECK(stack.size == 2048 + 8192 + 2048);
  CHECK(stack.used == 312 + 4096 + 256);
  CHECK(snapshot.goroutines[0].damage.empty());
}

TEST_CASE("a cycle of segments ends the walk") {
  FakeRuntime runtime;
  runtime.goroutines.push_back(FakeRuntime::parked(7));
  runtime.goroutines[0]["segments"] = 0x800000;
  runtime.segments[0x800000] = {{"lo", 0x10000}, {"hi", 0x12000}, {"previous", 0x800100}};
  runtime.segments[0x800100] = {{"lo", 0x20000}, {"hi", 0x20800}, {"previous", 0x800000}};
  const auto snapshot = walk_it(runtime);
  CHECK(snapshot.goroutines[0].stack.segments.size() == 3);
  CHECK(only_damage(snapshot.goroutines[0]) == "goroutine 7: its segments form a cycle");
  CHECK(snapshot.goroutines[0].damage[0].address == 0x800000);
}

TEST_CASE("absent, empty and inconsistent segments are damage") {
  FakeRuntime runtime;
  for (std::uint64_t id = 1; id <= 3; ++id) runtime.goroutines.push_back(FakeRuntime::parked(id));
  runtime.goroutines[0]["segments"] = 0x900000;
  runtime.goroutines[1]["segments"] = 0x800000;
  runtime.goroutines[2]["segments"] = 0x800100;
  runtime.segments[0x800000] = {{"lo", 0x12000}, {"hi", 0x12000}};
  runtime.segments[0x800100] = {{"lo", 0x20000}, {"hi", 0x20800}, {"sp", 0x5}};
  const auto snapshot = walk_it(runtime);
  CHECK(only_damage(snapshot.goroutines[0]) == "goroutine 1: an older segment");
  CHECK(snapshot.goroutines[0].damage[0].code == ErrorCode::memory_fault);
  CHECK(snapshot.goroutines[0].damage[0].address == 0x900000);
  CHECK(only_damage(snapshot.goroutines[1]) == "goroutine 2: a segment [0x12000, 0x12000) is empty");
  CHECK(only_damage(snapshot.goroutines[2]) == "goroutine 3: a segment's sp 0x5 is outside [0x20000, 0x20800)");
}

TEST_CASE("a hole in a slab costs the records in it and no others") {
  FakeRuntime runtime;
  FakeTarget target;
  for (std::uint64_t id = 1; id <= 1000; ++id) runtime.goroutines.push_back(FakeRuntime::parked(id));
  runtime.place(target.memory_);
  target.memory_.punch(FakeRuntime::kSlab + 0x3000, 0x2000);
  const auto descriptor = read_descriptor(target.memory_, runtime.image.address);
  REQUIRE(descriptor);
  const auto snapshot = walk(target, *descriptor, make_layout(*descriptor));
  const std::uint64_t size = runtime.size_of("goroutine");
  const std::uint64_t first = 0x3000 / size;              // the record that the hole begins in
  const std::uint64_t next = (0x5000 + size - 1) / size;  // the first one behind it
  CHECK(snapshot.goroutine_counts.total == 1000);
  CHECK(snapshot.goroutine_counts.skipped == next - first);
  CHECK(snapshot.goroutine_counts.read == 1000 - (next - first));
  CHECK(snapshot.goroutines[first - 1].id == first);
  CHECK(snapshot.goroutines[first].id == next + 1);
  CHECK(snapshot.damage == std::vector<std::string>{std::to_string(next - first) +
                                                    " of 1000 goroutine records could not be read, the first at 0x203000"});
}

TEST_CASE("a slab that claims more than it has, or all of memory, is bounded") {
  FakeRuntime runtime;
  FakeTarget target;
  runtime.goroutines.push_back(FakeRuntime::parked(1));
  runtime.place(target.memory_);
  const auto walk_slab = [&](std::uint64_t capacity, std::uint64_t used) {
    runtime.put(target.memory_, "slab", FakeRuntime::kSlabs,
                {{"address", FakeRuntime::kSlab}, {"capacity", capacity}, {"used", used}});
    const auto descriptor = read_descriptor(target.memory_, runtime.image.address);
    return walk(target, *descriptor, make_layout(*descriptor));
  };
  const auto over_capacity = walk_slab(1, 5);
  CHECK(over_capacity.damage == std::vector<std::string>{"slab 0 uses 5 of 1 records"});
  CHECK(over_capacity.goroutines.size() == 1);
  const auto endless = walk_slab(~std::uint64_t{0}, ~std::uint64_t{0});
  CHECK(endless.goroutines.size() == 1);
  CHECK(endless.goroutine_counts.read == 1);
  CHECK(endless.goroutine_counts.skipped == ~std::uint64_t{0} - 1);
  CHECK(endless.damage[0] == "a slab of 18446744073709551615 records at 0x200000: only 16777216 are looked at");
}

TEST_CASE("roots without an address yet are empty lists") {
  FakeRuntime runtime;
  FakeTarget target;
  runtime.place(target.memory_);
  for (const auto* name : {"goroutine_slabs", "ms", "ps", "scheduler", "event_rings"}) runtime.image.root(name).address = 0;
  target.memory_.put_bytes(runtime.image.address, runtime.image.encode());
  const auto descriptor = read_descriptor(target.memory_, runtime.image.address);
  const auto snapshot = walk(target, *descriptor, make_layout(*descriptor));
  CHECK(snapshot.goroutines.empty());
  CHECK(snapshot.ms.empty());
  CHECK(snapshot.damage.empty());
}

namespace {

// A process that was not stopped: it finishes its change after a few reads.
class ChangingMemory : public FakeMemory {
 public:
  std::size_t read_up_to(Address address, std::span<std::byte> out) override {
    const auto done = FakeMemory::read_up_to(address, out);
    if (address == FakeRuntime::kSlab && --reads_left == 0) finish();
    return done;
  }
  int reads_left = 5;
  std::function<void()> finish;
};

class ChangingTarget : public FakeTarget {
 public:
  FakeMemory& memory() override { return changing_; }
  ChangingMemory changing_;
};

}  // namespace

TEST_CASE("a record that changes while it is read is read again until it stands still") {
  FakeRuntime runtime;
  ChangingTarget target;
  target.kind_ = TargetKind::process;
  runtime.goroutines.push_back(FakeRuntime::parked(7));
  runtime.goroutines[0]["sequence"] = 5;
  runtime.place(target.changing_);
  target.changing_.finish = [&] {
    auto after = FakeRuntime::parked(7);
    after["sequence"] = 6;
    after["grows"] = 1;
    runtime.put(target.changing_, "goroutine", FakeRuntime::kSlab, after);
  };
  const auto descriptor = read_descriptor(target.changing_, runtime.image.address);
  const auto snapshot = walk(target, *descriptor, make_layout(*descriptor));
  CHECK(snapshot.goroutines[0].grows == 1);
  CHECK(snapshot.goroutines[0].damage.empty());
}
