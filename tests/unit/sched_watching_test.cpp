// sched: who waits for file descriptors, and who watches these.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "support/fake_snapshot.h"
#include "view/views.h"

using namespace stacktide;
using namespace stacktide::test;

TEST_CASE("sched says how many wait for descriptors, and who watches these") {
  auto snapshot = snapshot_of({parked(1), parked(2), parked(3)});
  for (std::size_t i : {0, 2}) snapshot.goroutines[i].wait_reason = "IO wait";
  snapshot.scheduler.values.insert({{"idle_ms", 2}, {"timers", 1}, {"blocking", 0}});
  Machine idle;
  idle.status = "idle";
  Machine watching;
  watching.id = 1;
  watching.status = "watching";
  snapshot.ms = {idle, watching};
  const auto facts = [&] {
    const auto text = scheduler_text(snapshot, {});
    const auto from = text.find("\nidle") + 1;
    return text.substr(from, text.find("\ngoroutines") + 1 - from);
  };
  CHECK(facts() ==
        "idle          Ms 2: 0 1\n"
        "waiting       in calls without a P 0, timers 1, for descriptors 2 (M 1 is watching)\n");
  // It waits for a P, and watches meanwhile.
  snapshot.ms[1].goroutine = 7;
  snapshot.scheduler.values["idle_ms"] = 1;
  CHECK(facts() ==
        "idle          Ms 1: 0\n"
        "waiting       in calls without a P 0, timers 1, for descriptors 2 (M 1 is watching)\n");
  // Nobody does: all have something to run.
  snapshot.ms[1].status = "running";
  CHECK(facts() ==
        "idle          Ms 1: 0\n"
        "waiting       in calls without a P 0, timers 1, for descriptors 2\n");
  // A runtime that exports no numbers.
  snapshot.scheduler.values.clear();
  CHECK(facts() ==
        "idle\n"
        "waiting       for descriptors 2\n");
}
