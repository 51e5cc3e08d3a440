#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "walk/walker.h"

#include <doctest/doctest.h>

#include <functional>

#include "support/fake_runtime.h"
#include "support/fake_target.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr Address kLo = 0x7f0000000000;  // of the stack of goroutine n: plus n * 0x10000

Snapshot walk_it(FakeRuntime& runtime, FakeTarget& target) {
  runtime.place(target.memory_);
  const auto descriptor = read_descriptor(target.memory_, runtime.image.address);
  REQUIRE(descriptor);
  return walk(target, *descriptor, make_layout(*descriptor));
}

Snapshot walk_it(FakeRuntime& runtime) {
  FakeTarget target;
  return walk_it(runtime, target);
}

Snapshot walk_one(const Values& changes) {
  FakeRuntime runtime;
  runtime.goroutines.push_back(FakeRuntime::parked(7));
  for (const auto& [name, value] : changes) runtime.goroutines[0][name] = value;
  return walk_it(runtime);
}

std::string only_damage(const Goroutine& g) {
  REQUIRE(g.damage.size() == 1);
  return g.damage[0].context;
}

}  // namespace

TEST_CASE("a parked goroutine is read in full") {
  FakeRuntime runtime;
  runtime.goroutines.push_back(FakeRuntime::parked(7));
  runtime.goroutines[0].insert({{"wait_since", 400'000'000},
                                {"wait_object", 0x9000},
                                {"parent", 3},
                                {"flags", 1},
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

TEST_CASE("a running goroutine has the registers of its thread") {
  FakeRuntime runtime;
  FakeTarget target;
  auto running = FakeRuntime::parked(7);
  running["status"] = 2;
  running["m"] = runtime.m_address(0);
  running["sp"] = 0;
  runtime.goroutines.push_back(running);
  runtime.ms.push_back({{"id", 3}, {"tid", 100}, {"status", 2}, {"goroutine", runtime.goroutine_address(0)}});
  target.add_thread(100, 0x409999, kLo + 0x70000 + 1000);
  const auto snapshot = walk_it(runtime, target);
  const auto& g = snapshot.goroutines[0];
  CHECK(g.status == "running");
  CHECK(g.wait_reason == "");
  CHECK(g.registers_live);
  CHECK(g.tid == 100);
  CHECK(g.m == 3);
  CHECK(g.registers.get(Register::rip) == 0x409999);
  CHECK(g.stack.used == 1048);
  CHECK(snapshot.ms[0].goroutine == 7);
  CHECK(snapshot.ms[0].status == "running");
  CHECK(g.damage.empty());
}

TEST_CASE("inside a library call, sp is where the goroutine left its stack, or unknown") {
  for (const bool known : {true, false}) {
    FakeRuntime runtime;
    FakeTarget target;
    auto running = FakeRuntime::parked(7);
    running["status"] = 3;
    running["m"] = runtime.m_address(0);
    if (!known) running["sp"] = 0;
    runtime.goroutines.push_back(running);
    runtime.ms.push_back({{"id", 3}, {"tid", 100}});
    target.add_thread(100, 0x409999, 0x6000);
    const auto snapshot = walk_it(runtime, target);
    CHECK(snapshot.goroutines[0].status == "syscall");
    CHECK(snapshot.goroutines[0].stack.used == (known ? 312U : 0U));
    CHECK((snapshot.goroutines[0].stack.sp != 0) == known);
  }
}

TEST_CASE("a thread or an M that is not there is damage") {
  FakeRuntime runtime;
  FakeTarget target;
  auto running = FakeRuntime::parked(7);
  running["status"] = 2;
  running["m"] = runtime.m_address(0);
  runtime.goroutines.push_back(running);
  running["id"] = 8;
  running["m"] = 0x123;
  runtime.goroutines.push_back(running);
  runtime.ms.push_back({{"id", 3}, {"tid", 100}, {"goroutine", 0x77}});
  target.add_thread(101, 0x409999, 0x6000);
  const auto snapshot = walk_it(runtime, target);
  CHECK(only_damage(snapshot.goroutines[0]) == "goroutine 7: its thread 100 is not there");
  CHECK_FALSE(snapshot.goroutines[0].registers.get(Register::rip));
  CHECK(only_damage(snapshot.goroutines[1]) == "goroutine 8: its M at 0x123 is none of the Ms");
  REQUIRE(snapshot.ms[0].damage.size() == 2);
  CHECK(snapshot.ms[0].damage[1].context == "M 3 names a goroutine that is not in the slabs");
}

TEST_CASE("run queues wrap at their length and at 2^32") {
  FakeRuntime runtime;
  for (std::uint64_t id = 1; id <= 4; ++id) runtime.goroutines.push_back(FakeRuntime::parked(id));
  runtime.ms.push_back({{"id", 3}, {"p", runtime.p_address(0)}});
  runtime.ps.push_back({{"id", 1},
                        {"status", 1},
                        {"m", runtime.m_address(0)},
                        {"run_head", 0xfffffffe},
                        {"run_tail", 1},
                        {"ticks", 77},
                        {"run_next", runtime.goroutine_address(3)}});
  runtime.run_queues[0] = std::vector<Address>(8);
  runtime.run_queues[0][6] = runtime.goroutine_address(0);
  runtime.run_queues[0][7] = runtime.goroutine_address(1);
  runtime.run_queues[0][0] = runtime.goroutine_address(2);
  const auto snapshot = walk_it(runtime);
  REQUIRE(snapshot.ps.size() == 1);
  CHECK(snapshot.ps[0].run_queue == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(snapshot.ps[0].run_next == 4);
  CHECK(snapshot.ps[0].m == 3);
  CHECK(snapshot.ps[0].status == "running");
  CHECK(snapshot.ms[0].p == 1);
}

TEST_CASE("a run queue that holds more than its ring, or strangers, is damage") {
  FakeRuntime runtime;
  runtime.goroutines.push_back(FakeRuntime::parked(1));
  runtime.ps.push_back({{"id", 1}, {"run_head", 0}, {"run_tail", 1000}});
  runtime.ps.push_back({{"id", 2}, {"run_head", 0}, {"run_tail", 1}});
  runtime.run_queues[0] = std::vector<Address>(8, runtime.goroutine_address(0));
  runtime.run_queues[1] = {0x1234};
  const auto snapshot = walk_it(runtime);
  CHECK(snapshot.ps[0].damage[0].context == "P 1: 1000 entries in a run queue of 8, 1 goroutines known");
  CHECK(snapshot.ps[0].run_queue == std::vector<std::uint64_t>{1});
  CHECK(snapshot.ps[1].damage[0].context == "the run queue names a goroutine that is not in the slabs");
  CHECK(snapshot.ps[1].damage[0].address == 0x1234);
}

TEST_CASE("the global queue is followed, and a cycle in it ends the walk") {
  FakeRuntime runtime;
  for (std::uint64_t id = 1; id <= 3; ++id) runtime.goroutines.push_back(FakeRuntime::parked(id));
  runtime.scheduler["global_head"] = runtime.goroutine_address(2);
  runtime.goroutines[2]["next"] = runtime.goroutine_address(0);
  const auto straight = walk_it(runtime);
  CHECK(straight.scheduler.global_queue == std::vector<std::uint64_t>{3, 1});
  CHECK(straight.scheduler.damage.empty());
  CHECK(straight.scheduler.policy == "auto");
  CHECK(straight.scheduler.values.at("segment_size") == 8192);
  runtime.goroutines[0]["next"] = runtime.goroutine_address(2);
  const auto cyclic = walk_it(runtime);
  CHECK(cyclic.scheduler.global_queue == std::vector<std::uint64_t>{3, 1});
  REQUIRE(cyclic.scheduler.damage.size() == 1);
  CHECK(cyclic.scheduler.damage[0].context == "the global queue forms a cycle");
}

TEST_CASE("an absent scheduler record is damage, and the goroutines are still there") {
  FakeRuntime runtime;
  FakeTarget target;
  runtime.goroutines.push_back(FakeRuntime::parked(1));
  runtime.place(target.memory_);
  target.memory_.punch(FakeRuntime::kScheduler, 0x1000);
  const auto descriptor = read_descriptor(target.memory_, runtime.image.address);
  const auto snapshot = walk(target, *descriptor, make_layout(*descriptor));
  CHECK(snapshot.goroutines.size() == 1);
  REQUIRE(snapshot.scheduler.damage.size() == 1);
  CHECK(snapshot.scheduler.damage[0].code == ErrorCode::memory_fault);
  CHECK_FALSE(snapshot.now);
}

TEST_CASE("events of all rings come by time, and overwritten ones are counted") {
  FakeRuntime runtime;
  FakeRing full{4, 6, {}};  // events 2 to 5; the slot of event 2 is the next to be written
  for (std::uint64_t slot = 0; slot < 4; ++slot) {
    const std::uint64_t number = slot < 2 ? slot + 4 : slot;
    full.slots.push_back(
        {{"time", number * 10}, {"goroutine", number}, {"kind", 1}, {"old_size", 2048}, {"new_size", 4096}, {"used", 1312}});
  }
  FakeRing other{8, 1, {}};
  other.slots.push_back({{"time", 35}, {"goroutine", 77}, {"kind", 2}, {"old_size", 4096}, {"new_size", 2048}});
  runtime.rings = {full, other};
  const auto snapshot = walk_it(runtime);
  std::vector<std::uint64_t> order;
  for (const auto& event : snapshot.events) order.push_back(event.goroutine);
  CHECK(order == std::vector<std::uint64_t>{3, 77, 4, 5});
  CHECK(snapshot.events[0].kind == "grow");
  CHECK(snapshot.events[1].kind == "shrink");
  CHECK(snapshot.events[0].used == 1312);
  CHECK(snapshot.event_counts.total == 7);
  CHECK(snapshot.event_counts.read == 4);
  CHECK(snapshot.event_counts.skipped == 3);
}

TEST_CASE("a ring whose capacity is not believable is left out") {
  FakeRuntime runtime;
  runtime.rings = {FakeRing{3, 5, {}}, FakeRing{std::uint64_t{1} << 25, 5, {}}, FakeRing{0, 5, {}}};
  const auto snapshot = walk_it(runtime);
  CHECK(snapshot.events.empty());
  CHECK(snapshot.damage == std::vector<std::string>{"event ring 0 of 3 records at 0x700000 is not believable",
                                                    "event ring 1 of 33554432 records at 0x710000 is not believable",
                                                    "event ring 2 of 0 records at 0x720000 is not believable"});
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

TEST_CASE("without the scheduler's contract goroutines are still listed") {
  FakeRuntime runtime;
  runtime.goroutines.push_back(FakeRuntime::parked(1));
  runtime.image.contract("scheduler").version = 2;
  const auto snapshot = walk_it(runtime);
  CHECK(snapshot.goroutines.size() == 1);
  CHECK(snapshot.ps.empty());
  CHECK(
      snapshot.runtime.disabled ==
      std::vector<std::string>{
          "contract scheduler is version 2, this stacktide knows 1: sched and the registers of running goroutines are off"});
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
