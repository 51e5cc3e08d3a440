// Which goroutine runs on a thread, by three reads; depth of a frame over segments; what is said of moves.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <memory>

#include "stacktide/core/command.h"
#include "stacktide/core/step.h"
#include "support/fake_runtime.h"
#include "support/fake_target.h"
#include "support/fake_walk.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr Address kModule = 0x40000000;
constexpr std::uint64_t kRunning = 2;  // status

// Goroutine 7 runs on thread 501 (M 0), thread 502 (M 1) schedules; 8 is parked. The session's target stays at hand.
struct Scene {
  FakeRuntime runtime;
  FakeTarget* target = nullptr;
  std::unique_ptr<Session> session;

  Scene() {
    runtime.goroutines = {FakeRuntime::parked(7), FakeRuntime::parked(8)};
    runtime.goroutines[0]["status"] = kRunning;
    runtime.goroutines[0]["m"] = runtime.m_address(0);
    runtime.goroutines[0]["grows"] = 2;
    runtime.ms = {{{"id", 0}, {"tid", 501}, {"goroutine", runtime.goroutine_address(0)}}, {{"id", 1}, {"tid", 502}}};
    runtime.scheduler["live"] = 2;
    auto owned = std::make_unique<FakeTarget>();
    target = owned.get();
    place();
    target->add_module_with_note(kModule, runtime.image.address);
    session = std::make_unique<Session>(std::move(owned));
  }
  void place() { runtime.place(target->memory_); }
  std::uint64_t on(std::uint64_t tid) {
    const auto found = session->running_on(tid);
    REQUIRE(found);
    return *found ? (*found)->id : 0;
  }
};

}  // namespace

TEST_CASE("the goroutine of a thread is found by its M, with its stack and counters") {
  Scene scene;
  const auto found = scene.session->running_on(501);
  REQUIRE(found);
  REQUIRE(*found);
  CHECK((*found)->id == 7);
  CHECK((*found)->tid == 501);
  CHECK((*found)->stack.lo == kLo + 0x70000);
  CHECK((*found)->stack.hi == kLo + 0x70000 + 2048);
  CHECK((*found)->grows == 2);
  CHECK((*found)->damage.empty());
  CHECK(scene.on(502) == 0);
  CHECK(scene.on(503) == 0);
  CHECK(scene.on(0) == 0);
}

TEST_CASE("each answer is that of the moment, in one session") {
  Scene scene;
  CHECK(scene.on(501) == 7);
  scene.runtime.goroutines[1]["status"] = kRunning;
  scene.runtime.ms[0]["goroutine"] = scene.runtime.goroutine_address(1);
  scene.place();
  CHECK(scene.on(501) == 8);
  // A thread id that went to another M, and an M that came later.
  scene.runtime.ms[0]["tid"] = 600;
  scene.runtime.ms[1]["tid"] = 501;
  scene.runtime.ms.push_back({{"id", 2}, {"tid", 503}, {"goroutine", scene.runtime.goroutine_address(0)}});
  scene.place();
  CHECK(scene.on(501) == 0);
  CHECK(scene.on(600) == 8);
  CHECK(scene.on(503) == 7);
}

TEST_CASE("it reads no record but the one, however many there are") {
  Scene scene;
  CHECK(scene.on(501) == 7);
  // The other's record is gone, and with it nothing that is asked for.
  scene.runtime.ms[0]["goroutine"] = 0x9999000;
  scene.place();
  const auto absent = scene.session->running_on(501);
  REQUIRE(!absent);
  CHECK(absent.error().code == ErrorCode::memory_fault);
  CHECK(absent.error().address == 0x9999000);
}

TEST_CASE("the count is the runtime's own, and the walk's where there is none") {
  Scene scene;
  CHECK(scene.session->goroutine_count() == 2);
  scene.runtime.scheduler["live"] = 100'000;
  scene.place();
  CHECK(scene.session->goroutine_count() == 100'000);
  FakeRuntime runtime;
  runtime.goroutines = {FakeRuntime::parked(1), FakeRuntime::parked(2), FakeRuntime::parked(3)};
  runtime.image.remove_field("scheduler", "live");
  auto target = std::make_unique<FakeTarget>();
  runtime.place(target->memory_);
  target->add_module_with_note(kModule, runtime.image.address);
  Session session(std::move(target));
  CHECK(session.goroutine_count() == 3);
}

TEST_CASE("a runtime that has not started runs nothing yet, and does later") {
  Scene scene;
  const auto at = scene.runtime.image.address + offsetof(stacktide_header, self_address);
  const auto self = scene.target->memory_.read_value<std::uint64_t>(at);
  REQUIRE(self);
  scene.target->memory_.put<std::uint64_t>(at, 0);
  CHECK(scene.on(501) == 0);
  CHECK(scene.session->goroutine_count() == 0);
  scene.target->memory_.put<std::uint64_t>(at, *self);
  CHECK(scene.on(501) == 7);
  CHECK(scene.session->goroutine_count() == 2);
}

TEST_CASE("a goroutine is read again by its record, until that is another's") {
  Scene scene;
  const auto before = scene.session->running_on(501);
  REQUIRE(before);
  REQUIRE(*before);
  scene.runtime.goroutines[0]["grows"] = 3;
  scene.place();
  const auto after = scene.session->reread(**before);
  REQUIRE(after);
  REQUIRE(*after);
  CHECK((*after)->grows == 3);
  scene.runtime.goroutines[0]["id"] = 9;
  scene.place();
  const auto gone = scene.session->reread(**before);
  REQUIRE(gone);
  CHECK_FALSE(*gone);
}

TEST_CASE("depth counts what is in use between an address and the first segment's top") {
  Stack stack;
  stack.segments = {{0x3000, 0x4000, 0x3800, 0}, {0x8000, 0x9000, 0x8200, 0x1}, {0x1000, 0x2000, 0x1f00, 0x1}};
  CHECK(stack.depth(0x2000) == 0);
  CHECK(stack.depth(0x1f00) == 0x100);
  CHECK(stack.depth(0x9000) == 0x100);
  CHECK(stack.depth(0x8200) == 0x100 + 0xe00);
  CHECK(stack.depth(0x4000) == 0x100 + 0xe00);
  CHECK(stack.depth(0x3800) == 0x100 + 0xe00 + 0x800);
  CHECK_FALSE(stack.depth(0x3000));  // a CFA lies above its frame
  CHECK_FALSE(stack.depth(0x5000));
  CHECK_FALSE(Stack{}.depth(0x5000));
}

TEST_CASE("a move is told from a linked segment, and from another goroutine") {
  Goroutine before;
  before.id = 7;
  before.stack.hi = 0x2000;
  before.stack.size = 2048;
  Goroutine after = before;
  CHECK(move_warning(before, after, "GDB") == "");
  after.grows = 1;
  after.stack.hi = 0x5000;
  after.stack.size = 4096;
  CHECK(move_warning(before, after, "GDB") ==
        "the stack of goroutine 7 moved (2048 -> 4096 bytes) during this step: GDB may have lost the frame; use goroutine "
        "next, or "
        "run with STACKTIDE_MINSTACK=1M");
  Goroutine linked = before;
  linked.links = 1;
  linked.stack.hi = 0x9000;
  CHECK(move_warning(before, linked, "GDB") == "");
  after.id = 8;
  CHECK(move_warning(before, after, "GDB") == "");
}
