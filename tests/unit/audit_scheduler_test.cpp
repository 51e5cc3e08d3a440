// Deadlocks, queues and suspected leaks, in schedulers made by hand.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "analyze/audit_scheduler.h"

#include <doctest/doctest.h>

#include "support/fake_snapshot.h"
#include "view/audit.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

std::string text_of(const Snapshot& snapshot, bool complete = true, const LeakRule& rule = {}) {
  Audit audit;
  audit_scheduler(snapshot, complete, rule, audit);
  return audit_text(audit, 100);
}

constexpr const char* kNothing = "0 goroutines audited, 0 frames, 0 findings, 0 notes\n";

Snapshot all_wait() {
  auto snapshot = snapshot_of({parked(1), parked(2)});
  snapshot.scheduler.values["timers"] = 0;
  snapshot.scheduler.values["blocking"] = 0;
  return snapshot;
}

}  // namespace

TEST_CASE("all wait, and nothing can wake one: deadlock") {
  auto snapshot = all_wait();
  const std::string deadlock =
      "finding: all 2 goroutines wait, and nothing is left that could wake one: deadlock\n"
      "0 goroutines audited, 0 frames, 1 finding, 0 notes\n";
  CHECK(text_of(snapshot) == deadlock);
  // The runtime's own goroutines and ended ones wake nobody.
  snapshot.goroutines.push_back(parked(3));
  snapshot.goroutines.back().system = true;
  snapshot.goroutines.back().status = "running";
  snapshot.goroutines.push_back(parked(4));
  snapshot.goroutines.back().status = "dead";
  CHECK(text_of(snapshot) == deadlock);
  snapshot.goroutines.erase(snapshot.goroutines.begin());
  CHECK(text_of(snapshot).starts_with(
      "finding: the only goroutine waits, and nothing is left that could wake one: deadlock\n"));
}

TEST_CASE("it is none when a timer, a library call or a goroutine may wake one, or not all is known") {
  for (const char* status : {"runnable", "running", "syscall", "copystack", "idle"}) {
    auto snapshot = all_wait();
    snapshot.goroutines[1].status = status;
    CAPTURE(status);
    CHECK(text_of(snapshot) == kNothing);
  }
  for (const char* count : {"timers", "blocking"}) {
    auto snapshot = all_wait();
    snapshot.scheduler.values[count] = 1;
    CHECK(text_of(snapshot) == kNothing);
    snapshot.scheduler.values.erase(count);
    CHECK(text_of(snapshot) == kNothing);
  }
  CHECK(text_of(all_wait(), false) == kNothing);
  CHECK(text_of(snapshot_of({})) == kNothing);
}

TEST_CASE("a goroutine is queued once") {
  auto snapshot = all_wait();
  snapshot.goroutines[1].status = "runnable";
  Processor p;
  p.id = 3;
  p.run_next = 1;
  p.run_queue = {2, 5};
  snapshot.ps = {p};
  snapshot.scheduler.global_queue = {6, 2};
  CHECK(text_of(snapshot) ==
        "finding: goroutine 2: it stands in the run queue of P 3 and in the global queue\n"
        "0 goroutines audited, 0 frames, 1 finding, 0 notes\n");
  snapshot.ps[0].damage.push_back({ErrorCode::damaged_data, 0x1000, "P 3: 70 entries in a run queue of 64"});
  CHECK(text_of(snapshot).starts_with("finding: P 3: 70 entries in a run queue of 64 at 0x1000\n"));
}

TEST_CASE("many that have waited long in one place may have leaked; waits without end are noted") {
  auto snapshot = all_wait();
  snapshot.scheduler.values["timers"] = 1;
  snapshot.goroutines.clear();
  for (std::uint64_t id = 1; id <= 12; ++id) {
    snapshot.goroutines.push_back(parked(id));
    snapshot.goroutines.back().wait_ns = static_cast<std::int64_t>(id) * 10'000'000'000;
  }
  CHECK(text_of(snapshot) == kNothing);  // 6 to 12 have waited a minute: seven
  CHECK(text_of(snapshot, true, {.count = 7}) ==
        "note: 7 goroutines have waited 60 s or longer in parked (park.cpp:21) [chan receive], the first is 6: have they "
        "leaked?\n"
        "0 goroutines audited, 0 frames, 0 findings, 1 note\n");
  CHECK(text_of(snapshot, true, {.count = 12, .wait = std::chrono::seconds(10)})
            .starts_with("note: 12 goroutines have waited 10 s or longer in parked "));
  snapshot.goroutines[11].line = 22;  // elsewhere
  CHECK(text_of(snapshot, true, {.count = 7}) == kNothing);
  snapshot.goroutines[0].wait_reason = "select (no cases)";
  CHECK(text_of(snapshot) ==
        "note: goroutine 1: select (no cases) ends never, in parked (park.cpp:21)\n"
        "0 goroutines audited, 0 frames, 0 findings, 1 note\n");
}

TEST_CASE("those that wait for descriptors are woken from outside: many are no leak, and all are no deadlock") {
  auto snapshot = all_wait();
  snapshot.goroutines.clear();
  for (std::uint64_t id = 1; id <= 12; ++id) {
    snapshot.goroutines.push_back(parked(id));
    snapshot.goroutines.back().wait_ns = 3'600'000'000'000;
    snapshot.goroutines.back().wait_reason = "IO wait";
  }
  CHECK(text_of(snapshot) == kNothing);
  // What they would have to wake is another matter.
  for (std::uint64_t id = 13; id <= 22; ++id) {
    snapshot.goroutines.push_back(parked(id));
    snapshot.goroutines.back().wait_ns = 3'600'000'000'000;
  }
  CHECK(
      text_of(snapshot) ==
      "note: 10 goroutines have waited 3600 s or longer in parked (park.cpp:21) [chan receive], the first is 13: have they "
      "leaked?\n"
      "0 goroutines audited, 0 frames, 0 findings, 1 note\n");
}
