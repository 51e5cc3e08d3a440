// A small trace with a bit of everything, and symbols, for tests of what shows recordings.
#pragma once

#include <string>

#include "support/trace_writer.h"

namespace stacktide::test {

// Goroutine 1 is main; 2 and 3 are workers that grow, shrink and grow again in deep(), called from work(); 4 links segments
// in split(), called from loop(), and waits at the end. Begins at 1,000,000 ns, ends 3 ms later.
inline void write_sample_trace(const std::string& path) {
  TraceWriter writer(path);
  writer.header.started = 1'000'000;
  writer.header.started_realtime = 1'700'000'000'000'000'000;
  writer.text(STACKTIDE_TRACE_COMMAND, 1'000'000, 0, 0, "./program --fast");
  writer.text(STACKTIDE_TRACE_NAME, 1'000'000, 0, 1, "chan receive");
  writer.text(STACKTIDE_TRACE_NAME, 1'000'000, 0, 4, "sleep");
  writer.add(0, STACKTIDE_TRACE_MODULE,
             stacktide_trace_module{{0, 0, 0, 0, 1'000'000, 0}, 0, 0x1000, 0x9000, 2, {0xab, 0xcd}, 0},
             std::string("/bin/program") + '\0');
  writer.chain(1, {0x1010, 0x2010, 0x3010});  // deep, inlined in it; work, with inlined(); start
  writer.chain(2, {0x4010, 0x5010});          // split, loop
  writer.chain(3, {0x6010, 0x7010, 0x2020});  // recv of the runtime, take in work()
  writer.chain(4, {0x8010});                  // main
  writer.symbol(0x1010, false, "small", "/src/deep.cpp", 5, 0, "_Z5smallv");
  writer.symbol(0x1010, false, "deep", "/src/deep.cpp", 10, 1, "_Z4deepi");
  writer.symbol(0x2010, false, "inlined", "/src/work.cpp", 18, 0, "_Z7inlinedv");
  writer.symbol(0x2010, false, "work", "/src/work.cpp", 20, 1, "_Z4workv");
  writer.symbol(0x3010, false, "start", "/usr/include/stacktide/runtime.h", 40, 0, "_ZN9stacktide6detail5startEv");
  writer.symbol(0x4010, false, "split", "/src/split.cpp", 7, 0, "_Z5splitv");
  writer.symbol(0x5010, false, "loop", "/src/split.cpp", 30, 0, "_Z4loopv");
  writer.symbol(0x6010, false, "stacktide_gopark", "/src/switch.S", 25, 0, "stacktide_gopark");
  writer.symbol(0x7010, false, "stacktide::channel<int>::recv", "/src/channel.h", 56, 0, "_ZN9stacktide7channelIiE4recvEv");
  writer.symbol(0x2020, false, "work", "/src/work.cpp", 22, 0, "_Z4workv");
  writer.symbol(0x8010, false, "main", "/src/main.cpp", 50, 0, "main");
  writer.symbol(0x8000, true, "main", "/src/main.cpp", 48, 0, "main");
  writer.symbol(0x2000, true, "work", "/src/work.cpp", 15, 0, "_Z4workv");
  writer.symbol(0x5000, true, "loop", "/src/split.cpp", 28, 0, "_Z4loopv");

  writer.spawn(1'000'100, 1, 0, 0x8000, 0, 2048, STACKTIDE_TRACE_MAIN);
  writer.spawn(1'100'000, 2, 1, 0x2000, 4);
  writer.spawn(1'200'000, 3, 1, 0x2000, 4);
  writer.spawn(1'300'000, 4, 1, 0x5000, 4, 8192);
  writer.text(STACKTIDE_TRACE_LABEL, 1'350'000, 3, 0, "third");
  writer.stack(STACKTIDE_TRACE_GROW, 1'400'000, 2, 1, 2048, 4096, 1500, 900);
  writer.stack(STACKTIDE_TRACE_GROW, 1'500'000, 3, 1, 2048, 8192, 1600, 1200);
  writer.park(1'600'000, 2, 1, 3, 400);
  writer.stack(STACKTIDE_TRACE_SHRINK, 1'700'000, 2, 0, 4096, 2048, 400, 300);
  writer.ready(1'800'000, 2, 3);
  writer.stack(STACKTIDE_TRACE_GROW, 1'900'000, 2, 1, 2048, 4096, 1500, 800);
  writer.stack(STACKTIDE_TRACE_LINK, 2'000'000, 4, 2, 8192, 8192, 7000, 500);
  writer.stack(STACKTIDE_TRACE_RELEASE, 2'100'000, 4, 0, 8192, 8192, 0, 0);
  writer.stack(STACKTIDE_TRACE_LINK, 2'200'000, 4, 2, 8192, 8192, 7000, 0, STACKTIDE_TRACE_HOT);
  writer.stack(STACKTIDE_TRACE_RELEASE, 2'300'000, 4, 0, 8192, 8192, 0, 0);
  writer.exit(2'400'000, {{}, 4096, 1500, 3400, 2, 0, 1, 0, 6, 0, 0, 0}, 2);
  writer.exit(2'500'000, {{}, 8192, 1600, 1600, 1, 0, 0, 0, 6, 0, 0, 0}, 3);
  writer.park(2'600'000, 4, 4, 3, 600);
  stacktide_trace_goroutine last{};
  last.head.number = 3;
  last.stack_size = 8192;
  last.high_water = 7000;
  last.links = 2;
  last.hot_splits = 1;
  last.status = 4;
  last.wait_reason = 4;
  last.since = 2'600'000;
  writer.live(3'900'000, last, 4);
  writer.text(STACKTIDE_TRACE_END, 4'000'000, 0, 0, "exit");
  writer.text(STACKTIDE_TRACE_STATUS, 4'000'000, 0, 0, "");
}

}  // namespace stacktide::test
