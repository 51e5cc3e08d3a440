// What goroutines wait for, read from a fake runtime whose memory is as wrong as memory can be.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "stacktide/core/objects.h"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "support/fake_runtime.h"
#include "support/fake_target.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr Address kModule = 0x40000000;
constexpr Address kObject = 0x900000;
constexpr Address kWaiters = 0xa00000;
constexpr Address kWaiterDistance = 0x100;

// A fake core with `goroutines` parked goroutines, which `fill` adds objects to.
class World {
 public:
  explicit World(std::size_t goroutines = 3, const std::function<void(FakeRuntime&)>& change = {}) {
    for (std::uint64_t id = 1; id <= goroutines; ++id) runtime.goroutines.push_back(FakeRuntime::parked(id));
    if (change) change(runtime);
    runtime.place(target->memory_);
    target->add_module_with_note(kModule, runtime.image.address);
  }

  FakeMemory& memory() { return target->memory_; }
  void object(const std::string& type, const Values& values) { runtime.put(memory(), type, kObject, values); }
  // The goroutines by index wait in this queue of the object, in this order.
  void queue(const std::string& type, const std::string& field, const std::vector<std::size_t>& waiting) {
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      const bool last = i + 1 == waiting.size();
      runtime.put(memory(), "waiter", waiter(i),
                  {{"goroutine", runtime.goroutine_address(waiting[i])}, {"next", last ? 0 : waiter(i + 1)}});
    }
    memory().put(in_queue(type, field, "first"), waiting.empty() ? Address{0} : waiter(0));
    memory().put(in_queue(type, field, "length"), std::uint64_t{waiting.size()});
  }
  Address in_queue(const std::string& type, const std::string& field, const std::string& member) {
    return kObject + runtime.image.field(type, field).offset + runtime.image.field("wait_queue", member).offset;
  }
  static Address waiter(std::size_t index) { return kWaiters + index * kWaiterDistance; }

  Session session() { return Session(std::move(target)); }
  std::string shown(const std::string& type_name, Address word = kObject) {
    auto open = session();
    return describe_handle(open, *handle_type(type_name), word);
  }

  FakeRuntime runtime;

 private:
  std::unique_ptr<FakeTarget> target = std::make_unique<FakeTarget>();
};

constexpr const char* kInts = "stacktide::channel<int>";

}  // namespace

TEST_CASE("types of handles are known by their names, others are not handles") {
  CHECK(handle_type("stacktide::channel<int>")->label == "channel<int>");
  CHECK(handle_type("class stacktide::mutex")->label == "mutex");
  CHECK(handle_type("stacktide::channel<std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> > >")
            ->label == "channel<std::string>");
  CHECK(handle_type("stacktide::runtime::Goroutine")->is_object);
  for (const char* other :
       {"", "int", "channel<int>", "stacktide::channel<int>::iterator", "stacktide::", "stacktide::channel<",
        "stacktide::runtime::", "stacktide::runtime::Waiter", "stacktide::mutexes"}) {
    CAPTURE(other);
    CHECK(!handle_type(other));
  }
}

TEST_CASE("a channel shows its length, its capacity and who waits, in the order of the queue") {
  World world;
  world.object("channel", {{"capacity", 8}, {"length", 2}, {"head", 7}, {"ring", 0xb00000}});
  world.queue("channel", "receivers", {2, 0, 1});
  auto session = world.session();
  CHECK(describe_handle(session, *handle_type(kInts), kObject) ==
        "channel<int> len 2 cap 8, 3 receivers waiting (goroutines 3, 1, 2)");
  // The ring wraps.
  CHECK(read_object(session, "channel", kObject)->values == std::vector<Address>{0xb00000 + 7 * 8, 0xb00000});
}

TEST_CASE("nil, closed, mutexes and wait groups") {
  CHECK(World().shown(kInts, 0) == "channel<int> nil");
  {
    World world;
    world.object("channel", {{"closed", 1}});
    CHECK(world.shown(kInts) == "channel<int> len 0 cap 0, closed");
  }
  {
    World world;
    world.object("mutex", {{"word", 3}});
    world.queue("mutex", "waiters", {1});
    CHECK(world.shown("stacktide::mutex") == "mutex locked, 1 waiting (goroutine 2)");
  }
  {
    World world;
    world.object("mutex", {{"word", 0}});
    CHECK(world.shown("stacktide::mutex") == "mutex unlocked");
  }
  {
    World world;
    world.object("wait_group", {{"count", 3}});
    world.queue("wait_group", "waiters", {0});
    auto session = world.session();
    CHECK(describe_handle(session, *handle_type("stacktide::wait_group"), kObject) ==
          "wait_group 3, 1 waiting (goroutine 1)");
  }
  {
    World world;
    world.object("mutex", {{"word", 1}});
    auto session = world.session();
    CHECK(describe_once(session, false, kObject) == "once being done");
    CHECK(describe_once(session, true, kObject) == "once done");
  }
}

TEST_CASE("many waiters are counted, and the first ten named") {
  World world(60);
  world.object("channel", {});
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < 60; ++i) all.push_back(i);
  world.queue("channel", "senders", all);
  CHECK(world.shown(kInts) ==
        "channel<int> len 0 cap 0, 60 senders waiting (goroutines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 50 more)");
}

TEST_CASE("a walk ends at its cap, and the queue's own length says how many there are") {
  World world(200);
  world.object("channel", {});
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < 200; ++i) all.push_back(i);
  world.queue("channel", "receivers", all);
  // What lies behind the cap is not even looked at.
  world.memory().punch(World::waiter(64), kWaiterDistance);
  CHECK(world.shown(kInts) ==
        "channel<int> len 0 cap 0, 200 receivers waiting (goroutines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 190 more)");
}

TEST_CASE("a waiter whose select was decided elsewhere does not count") {
  World world;
  world.object("channel", {});
  world.queue("channel", "receivers", {0, 1, 2});
  constexpr Address kFlag = 0xc00000;
  world.memory().put(kFlag, std::uint8_t{1});
  world.runtime.put(world.memory(), "waiter", World::waiter(1),
                    {{"goroutine", world.runtime.goroutine_address(1)}, {"next", World::waiter(2)}, {"decided", kFlag}});
  CHECK(world.shown(kInts) == "channel<int> len 0 cap 0, 2 receivers waiting (goroutines 1, 3)");
}

TEST_CASE("what is missing is said beside what is there") {
  {
    World world;
    world.object("channel", {});
    world.queue("channel", "receivers", {0, 1, 2});
    world.memory().punch(World::waiter(1), 8);
    CHECK(world.shown(kInts) ==
          "channel<int> len 0 cap 0, 3 receivers waiting (goroutines 1 and 2 more), damaged: a waiter at 0xa00100 is not "
          "readable");
  }
  {
    World world;
    world.object("mutex", {{"word", 3}});
    world.queue("mutex", "waiters", {0, 1});
    world.runtime.put(world.memory(), "waiter", World::waiter(1),
                      {{"goroutine", world.runtime.goroutine_address(1)}, {"next", World::waiter(0)}});
    CHECK(world.shown("stacktide::mutex") ==
          "mutex locked, 2 waiting (goroutines 1, 2), damaged: its queue comes back to 0xa00000");
  }
  {
    World world;
    world.object("wait_group", {{"count", 1}});
    world.queue("wait_group", "waiters", {0});
    world.runtime.put(world.memory(), "waiter", World::waiter(0), {{"goroutine", 0xdead0000}});
    CHECK(world.shown("stacktide::wait_group") ==
          "wait_group 1, 1 waiting, damaged: the waiter at 0xa00000 belongs to no goroutine");
  }
  {
    World world;
    world.object("channel", {});
    world.queue("channel", "receivers", {0});
    world.memory().put(world.in_queue("channel", "receivers", "length"), std::uint64_t{5});
    CHECK(
        world.shown(kInts) ==
        "channel<int> len 0 cap 0, 5 receivers waiting (goroutines 1 and 4 more), damaged: its queue has 1 of the 5 that it "
        "counts");
  }
  {
    World world;
    world.object("channel", {});
    world.memory().put(world.in_queue("channel", "receivers", "length"), ~std::uint64_t{0});
    CHECK(world.shown(kInts).starts_with("channel<int> len 0 cap 0, damaged: its queue at 0x9000"));
  }
}

TEST_CASE("what cannot be one is refused, with what it would be") {
  CHECK(World().shown(kInts, 0xdead000) ==
        "channel<int> 0xdead000: the channel is not readable at 0xdead000 (not mapped, or left out of the core)");
  const auto refused = [](const std::string& type_name, const std::string& type, const Values& values) {
    World world;
    world.object(type, values);
    return world.shown(type_name);
  };
  CHECK(refused(kInts, "channel", {{"capacity", 2}, {"length", 3}}) ==
        "channel<int> 0x900000: no channel is there: it would hold 3 of 2 values at 0x900000");
  CHECK(refused(kInts, "channel", {{"capacity", 2}, {"head", 2}, {"ring", 0x1000}}) ==
        "channel<int> 0x900000: no channel is there: its ring at 0x1000 would begin with value 2 of 2 at 0x900000");
  CHECK(refused(kInts, "channel", {{"closed", 77}}) ==
        "channel<int> 0x900000: no channel is there: closed would be 77 at 0x900000");
  CHECK(refused("stacktide::mutex", "mutex", {{"word", 0xdeadbeef}}) ==
        "mutex 0x900000: no mutex is there: its word would be 0xdeadbeef at 0x900000");
}

TEST_CASE("a runtime that exports none of it, and one of a later version, are told") {
  World none(1, [](FakeRuntime& runtime) {
    std::erase_if(runtime.image.contracts, [&](const stacktide_contract& contract) {
      return std::string(runtime.image.names.c_str() + contract.name) == "wait_objects";
    });
  });
  none.object("channel", {});
  auto session = none.session();
  CHECK(describe_handle(session, *handle_type(kInts), kObject) ==
        "channel<int> 0x900000: this runtime does not export what a channel is");
  CHECK((*session.snapshot())->runtime.disabled.empty());
  World later(1, [](FakeRuntime& runtime) { runtime.image.contract("wait_objects").version = 9; });
  auto newer = later.session();
  CHECK((*newer.snapshot())->runtime.disabled ==
        std::vector<std::string>{
            "contract wait_objects is version 9, this stacktide knows 1: what goroutines wait for is off"});
}

TEST_CASE("whereis tells what goroutines wait for, what is taken for it, and records of goroutines") {
  World world(2, [](FakeRuntime& runtime) {
    for (auto& g : runtime.goroutines) g["wait_object"] = kObject;
  });
  world.object("channel", {{"capacity", 8}, {"length", 0}, {"ring", 0xb00000}});
  world.queue("channel", "receivers", {0, 1});
  auto session = world.session();
  CHECK(run(session, {"whereis", "0x900000"}, {}).out ==
        "0x900000: heap or other memory\n"
        "  object  channel, len 0 cap 8, 2 receivers waiting (goroutines 1, 2)\n");
  CHECK(run(session, {"whereis", "0x900008"}, {}).out ==
        "0x900008: heap or other memory\n"
        "  object  8 bytes into 0x900000: channel, len 0 cap 8, 2 receivers waiting (goroutines 1, 2)\n");
  CHECK(run(session, {"whereis", "0x200000", "--as", "goroutine"}, {}).out ==
        "0x200000: heap or other memory\n"
        "  object  goroutine 1 [chan receive]\n");
  CHECK(run(session, {"whereis", "0x900000", "--as", "goroutine"}, {})
            .err.starts_with("no goroutine is there: its id would be 0 at 0x900000"));
  CHECK(run(session, {"whereis", "0x900000", "--as", "bucket"}, {})
            .err.starts_with("'bucket' is not channel, mutex, wait_group or poll_descriptor"));
  const auto json = nlohmann::json::parse(run(session, {"whereis", "0x900000", "--json"}, {}).out).at("object");
  CHECK(json.at("type") == "channel");
  CHECK(json.at("capacity") == 8);
  CHECK(json.at("receivers").at("goroutines") == std::vector<int>{1, 2});
}
