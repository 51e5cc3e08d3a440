#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "support/fake_walk.h"

using namespace stacktide;
using namespace stacktide::test;

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
    running["wait_object"] = 0x409000;
    running["wait_since"] = 400'000'000;
    if (!known) running["sp"] = 0;
    runtime.goroutines.push_back(running);
    runtime.ms.push_back({{"id", 3}, {"tid", 100}});
    target.add_thread(100, 0x409999, 0x6000);
    const auto snapshot = walk_it(runtime, target);
    CHECK(snapshot.goroutines[0].status == "syscall");
    // A function, which has no text here, and since when.
    CHECK(snapshot.goroutines[0].wait_reason == "");
    CHECK(snapshot.goroutines[0].wait_object == 0x409000);
    CHECK(snapshot.goroutines[0].wait_ns == 600'000'000);
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

TEST_CASE("boundaries come by their links; free records of the table are left out") {
  FakeRuntime runtime;
  FakeTarget target;
  constexpr Address kTable = 0x900000;
  auto& root = runtime.image.root("hot_splits");
  root.address = kTable;
  root.count = 4;
  runtime.put(target.memory_, "hot_split", kTable,
              {{"pc", 0x401000}, {"caller", 0x402000}, {"count", 3}, {"allocated", 1}, {"bytes", 600}});
  runtime.put(target.memory_, "hot_split", kTable + root.stride, {});
  runtime.put(target.memory_, "hot_split", kTable + 2 * root.stride, {{"pc", 0x403000}, {"count", 9}});
  SUBCASE("with the one for all that found no place") {
    runtime.put(target.memory_, "hot_split", kTable + 3 * root.stride, {{"count", 5}});
    const auto snapshot = walk_it(runtime, target);
    REQUIRE(snapshot.hot_splits.size() == 3);
    CHECK(snapshot.hot_splits[0].pc == 0x403000);
    CHECK(snapshot.hot_splits[1].pc == 0);
    CHECK(snapshot.hot_splits[1].count == 5);
    CHECK(snapshot.hot_splits[2].caller == 0x402000);
    CHECK(snapshot.hot_splits[2].allocated == 1);
    CHECK(snapshot.hot_splits[2].bytes == 600);
    CHECK(snapshot.damage.empty());
  }
  SUBCASE("and absent ones are counted") {
    const auto snapshot = walk_it(runtime, target);
    CHECK(snapshot.hot_splits.size() == 2);
    CHECK(snapshot.hot_split_counts.skipped == 1);
    REQUIRE(snapshot.damage.size() == 1);
    CHECK(snapshot.damage[0].starts_with("1 of 4 boundaries could not be read"));
  }
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

TEST_CASE("without the scheduler's contract goroutines are still listed") {
  FakeRuntime runtime;
  runtime.goroutines.push_back(FakeRuntime::parked(1));
  runtime.image.contract("scheduler").version = 2;
  const auto snapshot = walk_it(runtime);
  CHECK(snapshot.goroutines.size() == 1);
  CHECK(snapshot.ps.empty());
  CHECK(snapshot.runtime.disabled ==
        std::vector<std::string>{"contract scheduler is version 2, this stacktide knows 1: sched is off"});
}
