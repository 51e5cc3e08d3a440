// Two recordings to check rules on, a later and an earlier one of the same program, whose every number is known.
#pragma once

#include <string>

#include "support/trace_writer.h"

namespace stacktide::test {

// Goroutines: 1 is main's; 2 and 3 are workers (worker.cpp); 4 is a handler with the label "conn 4" (handler.cpp).
//   2 grows in parse, shrinks, grows in parse again: thrash; ends
//   3 grows in parse, waits in take, and is left
//   4 links a segment in render three times, twice hot; is left, in a library call
//   5 is cut off by the end
// The run takes 100 us.
inline void write_checked_trace(const std::string& path, bool earlier = false) {
  constexpr std::uint64_t kMain = 0x1000;
  constexpr std::uint64_t kWorker = 0x2000;
  constexpr std::uint64_t kHandler = 0x3000;
  TraceWriter trace(path);
  trace.header.started_realtime = 1'700'000'000'000'000'000;
  trace.symbol(kMain, true, "main", "/src/main.cpp", 3);
  trace.symbol(kWorker, true, "worker", "/src/worker.cpp", 10);
  trace.symbol(kHandler, true, "handler", "/src/handler.cpp", 40);
  trace.symbol(0x2100, false, "parse", "/src/lib/parse.cpp", 20);
  trace.symbol(0x2050, false, "worker", "/src/worker.cpp", 15);
  trace.symbol(0x3100, false, "render", "/src/lib/render.cpp", 7);
  trace.symbol(0x3050, false, "handler", "/src/handler.cpp", 44);
  trace.symbol(0x4000, false, "take", "/src/queue.cpp", 30);
  trace.symbol(0x1050, false, "main", "/src/main.cpp", 5);
  trace.chain(1, {0x2100, 0x2050});
  trace.chain(2, {0x3100, 0x3050});
  trace.chain(3, {0x4000, 0x2050});
  trace.chain(4, {0x1050});
  trace.text(STACKTIDE_TRACE_NAME, 0, 0, 1, "chan receive");
  trace.spawn(1'000, 1, 0, kMain, 0, 2048, STACKTIDE_TRACE_MAIN);
  trace.spawn(2'000, 2, 1, kWorker, 4);
  if (!earlier) trace.spawn(3'000, 3, 1, kWorker, 4);
  trace.spawn(4'000, 4, 1, kHandler, 4);
  if (!earlier) trace.spawn(4'200, 5, 1, kHandler, 4);
  trace.text(STACKTIDE_TRACE_LABEL, 4'500, 4, 0, "conn 4");
  trace.stack(STACKTIDE_TRACE_GROW, 10'000, 2, 1, 2048, 4096, 1000, 500);
  trace.stack(STACKTIDE_TRACE_SHRINK, 20'000, 2, 0, 4096, 2048, 300, 100);
  trace.stack(STACKTIDE_TRACE_GROW, 30'000, 2, 1, 2048, 4096, 1200, 700);
  trace.exit(31'000, {}, 2);
  if (!earlier) {
    trace.stack(STACKTIDE_TRACE_GROW, 32'000, 3, 1, 2048, 8192, 1500, 2'000);
    trace.park(33'000, 3, 1, 3, 5'000);
  }
  for (int i = 0; i < 3; ++i) {
    const auto time = 40'000 + i * 1'000;
    trace.stack(STACKTIDE_TRACE_LINK, time, 4, 2, 2048, 4096, 1600, 200, i == 0 ? 0 : STACKTIDE_TRACE_HOT);
    trace.stack(STACKTIDE_TRACE_RELEASE, time + 500, 4, 0, 4096, 2048, 0, 0);
  }
  if (!earlier) {
    stacktide_trace_goroutine waiting{};
    waiting.status = 4;
    waiting.wait_reason = 1;
    waiting.since = 33'000;
    trace.live(100'000, waiting, 3);
    stacktide_trace_goroutine calls{};
    calls.status = 3;
    trace.live(100'000, calls, 4);
    stacktide_trace_goroutine runs{};
    runs.status = 2;
    trace.live(100'000, runs, 5);
  } else {
    trace.exit(100'000, {}, 4);
  }
  trace.exit(100'500, {}, 1);
  trace.text(STACKTIDE_TRACE_END, 101'000, 0, 0, "exit");
}

}  // namespace stacktide::test
