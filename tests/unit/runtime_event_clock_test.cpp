// The clock of events: before it was told anything, and while what it was told is too old, it is the clock itself;
// afterwards it keeps close to it.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdint>

#include "event_clock.h"
#include "scheduler.h"

using namespace stacktide::runtime;

namespace {

void pass(std::int64_t nanoseconds) {
  for (const std::int64_t until = clock_now() + nanoseconds; clock_now() < until;) {
  }
}

// Is it between two readings of the clock, or so near?
bool agrees(std::int64_t tolerance) {
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t before = clock_now();
    const std::int64_t event = EventClock::now();
    if (event < before - tolerance || event > clock_now() + tolerance) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("the clock of events agrees with the clock") {
  CHECK(agrees(0));
  EventClock::note();
  CHECK(agrees(0));
  // A measured rate is good to some parts in a hundred thousand: a microsecond in forty milliseconds.
  constexpr std::int64_t kNear = 20'000;
  for (int i = 0; i < 5; ++i) {
    pass(3'000'000);
    EventClock::note();
    CHECK(agrees(kNear));
  }
  pass(60'000'000);
  CHECK(agrees(0));
  EventClock::note();
  CHECK(agrees(kNear));
}

TEST_CASE("time is not set back when the clock is looked at again") {
  std::int64_t last = 0;
  for (int i = 0; i < 30; ++i) {
    EventClock::note();
    bool forward = true;
    for (const std::int64_t until = clock_now() + 3'000'000; clock_now() < until;) {
      const std::int64_t now = EventClock::now();
      // The first two pairs put it into use.
      forward = forward && (i < 3 || now >= last);
      last = now;
    }
    CHECK(forward);
  }
}
