#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "analyze/event_text.h"
#include "analyze/frames.h"
#include "analyze/select.h"
#include "analyze/stack_report.h"
#include "support/fake_snapshot.h"

using namespace stacktide;
using namespace stacktide::test;

TEST_CASE("what the next check does follows guard, policy and limit") {
  auto snapshot = snapshot_of({parked(7)});
  auto& g = snapshot.goroutines[0];
  const auto next = [&] { return report_stack(g, snapshot).next_check; };
  snapshot.scheduler.policy = "contiguous";
  CHECK(next() == "passes for frames up to 808 bytes; a larger one copies the stack to 4096 bytes or more");
  snapshot.scheduler.values["max_stack"] = 2048;
  CHECK(next() == "passes for frames up to 808 bytes; a larger one ends the program, for the limit is 2048 bytes");
  snapshot.scheduler.policy = "segmented";
  CHECK(next() == "passes for frames up to 808 bytes; a larger one links a segment of 8192 bytes or more");
  g.stack.headroom = 100;
  CHECK(next() ==
        "passes for frames below 256 bytes, which may reach under the guard; a larger one links a segment of 8192 bytes or "
        "more");
  g.stack.headroom = -8;
  CHECK(next() == "would fail at this sp, which is not above the guard: links a segment of 8192 bytes or more");
  g.stack.guard_state = GuardState::preempt;
  CHECK(next() == "yields, for the scheduler asked it to");
  g.stack.guard_state = GuardState::corrupt;
  g.stack.guard_slot = 0x1234;
  CHECK(next() == "unknown: stackguard0 0x1234 is neither the guard nor a sentinel");
}

TEST_CASE("a stack shrinks when it is parked, not pinned, above the minimum and less than a quarter used") {
  auto snapshot = snapshot_of({parked(7)});
  auto& g = snapshot.goroutines[0];
  const auto shrink = [&] { return report_stack(g, snapshot).shrink; };
  g.stack.lo = g.stack.hi - 4096;
  g.stack.segments[0].lo = g.stack.lo;
  CHECK(report_stack(g, snapshot).will_shrink == true);
  CHECK(shrink() == "yes, to 2048 bytes: 312 of 4096 are used");
  g.stack.segments[0].sp = g.stack.hi - 1024;
  CHECK(shrink() == "no: 1024 of 4096 bytes are used, a quarter or more");
  g.stack.pinned_pc = 0x401000;
  g.stack.pinned_by = "plain";
  CHECK(shrink() == "no: it is pinned by plain");
  g.status = "running";
  CHECK(shrink() == "no: only parked goroutines are shrunk");
  snapshot.scheduler.values["shrink"] = 0;
  CHECK(shrink() == "no: shrinking is off");
  CHECK(report_stack(g, snapshot).will_shrink == false);
}

TEST_CASE("of a runtime that exports no guard and no shrinking, or has fixed stacks, nothing is guessed") {
  auto snapshot = snapshot_of({parked(7)});
  auto& g = snapshot.goroutines[0];
  g.stack.guard_state = GuardState::unknown;
  g.stack.headroom.reset();
  snapshot.scheduler = {};
  auto report = report_stack(g, snapshot);
  CHECK(report.next_check == "unknown: goroutine.stackguard0 is not exported");
  CHECK(report.shrink == "unknown: scheduler.shrink is not exported");
  CHECK_FALSE(report.will_shrink.has_value());
  snapshot.runtime.constants["stacks_fixed"] = 1;
  report = report_stack(g, snapshot);
  CHECK(report.next_check == "stacks of this runtime have a fixed size");
  CHECK(report.shrink == "no: stacks of this runtime have a fixed size");
  CHECK(report.will_shrink == false);
}

TEST_CASE("what is not known sorts before all else and has no text") {
  auto snapshot = snapshot_of({parked(1), parked(2)});
  snapshot.goroutines[0].stack.headroom = -8;
  snapshot.goroutines[1].stack.headroom.reset();
  const auto rows = select(snapshot.goroutines, {{}, "headroom", false, false});
  REQUIRE(rows);
  CHECK((*rows)[0]->id == 2);
  CHECK(field_of(*(*rows)[0], "headroom")->text.empty());
}

TEST_CASE("a traced event is one line") {
  StackEvent event{0, 7, "grow", 0, 0, 2048, 4096, 1312, 0, 0, 0, 0x401000, "recurse", "/x/grow.cpp", 21};
  const auto caller = frame("main_goroutine", "/x/grow.cpp", 40);
  CHECK(
      describe_stack_event(event, &caller) ==
      "goroutine 7 grew 2048 -> 4096 bytes, used 1312, in recurse (grow.cpp:21), called from main_goroutine (grow.cpp:40)");
  event.function = "";
  CHECK(describe_stack_event(event, nullptr) == "goroutine 7 grew 2048 -> 4096 bytes, used 1312, in 0x401000");
  event = {0, 7, "shrink", 0, 0, 65536, 32768, 512, 0, 0, 0, 0, "", "", 0};
  CHECK(describe_stack_event(event, nullptr) == "goroutine 7 shrank 65536 -> 32768 bytes, used 512");
  event = {0, 7, "link", 0, 0, 2048, 8192, 1500, 0, 0, 0, 0x401000, "f", "f.cpp", 3};
  CHECK(describe_stack_event(event, nullptr) == "goroutine 7 linked a segment of 8192 bytes, used 1500, in f (f.cpp:3)");
  event = {0, 7, "release", 0, 0, 8192, 2048, 0, 0, 0, 0, 0, "", "", 0};
  CHECK(describe_stack_event(event, nullptr) == "goroutine 7 released a segment of 8192 bytes");
}

TEST_CASE("goroutines are chosen by patterns and sorted by any field") {
  auto snapshot = snapshot_of({parked(1), parked(2), parked(3)});
  snapshot.goroutines[0].status = "running";
  snapshot.goroutines[0].stack.used = 900;
  snapshot.goroutines[1].system = true;
  snapshot.goroutines[2].stack.used = 1000;
  const auto ids = [&](const Selection& selection) {
    std::vector<std::uint64_t> found;
    const auto rows = select(snapshot.goroutines, selection);
    REQUIRE(rows);
    for (const auto* g : *rows) found.push_back(g->id);
    return found;
  };
  using Ids = std::vector<std::uint64_t>;
  CHECK(ids({}) == Ids{1, 2, 3});
  CHECK(ids({{*parse_condition("status=^wait", false)}, "", false, false}) == Ids{2, 3});
  CHECK(ids({{*parse_condition("wait-reason=chan|select", false), *parse_condition("status=running", true)},
             "",
             false,
             false}) == Ids{2, 3});
  CHECK(ids({{}, "-used", false, false}) == Ids{3, 1, 2});
  CHECK(ids({{}, "status", false, false}) == Ids{1, 2, 3});
  CHECK(ids({{}, "", true, false}) == Ids{1, 3});
  CHECK(ids({{}, "", false, true}) == Ids{2});
  CHECK(parse_condition("colour=red", false).error().context.starts_with("no field 'colour': there are id, status, "));
  CHECK(parse_condition("status", false).error().context == "'status' is not field=pattern");
  CHECK(select(snapshot.goroutines, {{*parse_condition("status=(", false)}, "", false, false}).error().context ==
        "bad pattern '(': Unmatched ( or \\(");
  CHECK(select(snapshot.goroutines, {{}, "colour", false, false}).error().code == ErrorCode::usage);
  for (const auto name : field_names()) CHECK(field_of(snapshot.goroutines[0], name).has_value());
}

TEST_CASE("the user's frame is found between the runtime's and the system's") {
  auto park = frame("stacktide_gopark", "", 0);
  park.symbol = "stacktide_gopark";
  auto receive = frame("stacktide::channel<int>::recv", "", 0);
  receive.symbol = "_ZN9stacktide7channelIiE4recvEv";
  auto library = frame("std::function<void ()>::operator()", "/usr/include/c++/12/bits/std_function.h", 590);
  auto user = frame("user", "user.cpp", 3);
  auto outer = frame("outer", "user.cpp", 9);
  auto similar = frame("stacktide_like", "user.cpp", 4);
  similar.symbol = "_ZN14stacktide_like1fEv";
  const std::vector<std::string> own = {"stacktide_", "_ZN9stacktide", "stacktide::"};
  CHECK(is_runtime_frame(park, own));
  CHECK(is_runtime_frame(receive, own));
  CHECK_FALSE(is_runtime_frame(similar, own));
  CHECK_FALSE(is_runtime_frame(park, {}));
  // Only what has no linkage name is known by its readable one: that of a template begins with what it returns.
  auto made = frame("stacktide::channel<int> make<int>()", "user.cpp", 5);
  CHECK(is_runtime_frame(made, own));
  made.symbol = "_Z4makeIiEN9stacktide7channelIT_EEv";
  CHECK_FALSE(is_runtime_frame(made, own));
  made.module = "";
  CHECK(is_runtime_frame(made, {}));
  park.runtime = receive.runtime = true;
  const std::vector<Frame> frames = {park, receive, library, user, outer, park};
  CHECK(innermost_user_frame(frames) == &frames[3]);
  CHECK(outermost_user_frame(frames) == &frames[4]);
  const std::vector<Frame> no_user = {park, library};
  CHECK(innermost_user_frame(no_user) == &no_user[1]);
  CHECK(innermost_user_frame(std::span(no_user).first(1)) == nullptr);
}
