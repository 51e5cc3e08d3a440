#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "view/views.h"

#include <doctest/doctest.h>

#include "base/printable.h"
#include "support/fake_snapshot.h"
#include "view/json.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

ListModel list_of(Snapshot& snapshot) {
  ListModel model{snapshot, {}, snapshot.goroutines.size(), snapshot.goroutines.size(), false, 0};
  for (auto& g : snapshot.goroutines) model.groups.push_back({{&g}});
  return model;
}

}  // namespace

TEST_CASE("list is a table with a row for each goroutine and a line of counts") {
  auto running = parked(1);
  running.status = "running";
  running.wait_reason = "";
  running.function = "main_goroutine";
  running.line = 140;
  running.stack.size = 8192;
  running.stack.used = 0;
  running.stack.sp = 0;
  running.grows = 2;
  auto snapshot = snapshot_of({running, parked(20), parked(21)});
  auto model = list_of(snapshot);
  model.current = 1;
  CHECK(list_text(model, {}) ==
        "   id  status   wait-reason   function        file:line     size  used  headroom  grows\n"
        "*   1  running                main_goroutine  park.cpp:140  8192     ?         ?      2\n"
        "   20  waiting  chan receive  parked          park.cpp:21   2048   312       808      0\n"
        "   21  waiting  chan receive  parked          park.cpp:21   2048   312       808      0\n"
        "3 goroutines: 2 waiting, 1 running\n");
}

TEST_CASE("list says what it left out, what did not match, and what could not be read") {
  auto snapshot = snapshot_of({parked(1), parked(2), parked(3)});
  snapshot.goroutine_counts = {1003, 1000, 3};
  auto model = list_of(snapshot);
  model.shown = 1;
  model.selected = 3;
  CHECK(list_text(model, {}) ==
        "  id  status   wait-reason   function  file:line    size  used  headroom  grows\n"
        "   1  waiting  chan receive  parked    park.cpp:21  2048   312       808      0\n"
        "2 more: --all\n"
        "3 of 1000 goroutines: 3 waiting; 3 of 1003 records could not be read\n");
}

TEST_CASE("list folds equal goroutines into a row with a count, and shows labels where there are some") {
  auto snapshot = snapshot_of({parked(1), parked(2), parked(3)});
  snapshot.goroutines[2].label = "reader";
  snapshot.goroutines[2].function = "";
  auto model = list_of(snapshot);
  model.groups = {{{&snapshot.goroutines[0], &snapshot.goroutines[1]}}, {{&snapshot.goroutines[2]}}};
  model.folded = true;
  CHECK(list_text(model, {}) ==
        "  count  id  status   wait-reason   function  file:line    size  used  headroom  grows  label\n"
        "      2   1  waiting  chan receive  parked    park.cpp:21  2048   312       808      0\n"
        "      1   3  waiting  chan receive  ?         park.cpp:21  2048   312       808      0  reader\n"
        "3 goroutines: 3 waiting\n");
}

TEST_CASE("on a narrow terminal the function gives way, and the current row stands out in colour") {
  auto snapshot = snapshot_of({parked(1)});
  snapshot.goroutines[0].function = "a_function_with_a_rather_long_name";
  auto model = list_of(snapshot);
  model.current = 1;
  CHECK(list_text(model, {true, 80}) ==
        "\x1b[1m   id  status   wait-reason   function      file:line    size  used  headroom  grows\x1b[0m\n"
        "\x1b[1m*   1  waiting  chan receive  a_functio...  park.cpp:21  2048   312       808      0\x1b[0m\n"
        "1 goroutine: 1 waiting\n");
}

TEST_CASE("an empty list is its line of counts") {
  auto snapshot = snapshot_of({});
  CHECK(list_text(list_of(snapshot), {}) == "0 goroutines\n");
}

TEST_CASE("a group is a count, a key and the ids") {
  auto snapshot = snapshot_of({parked(1), parked(2), parked(3), parked(7)});
  auto& g = snapshot.goroutines;
  GroupModel model{snapshot, {{{&g[0], &g[1], &g[2]}}, {{&g[3]}}}, {"chan receive", ""}, "status"};
  CHECK(group_text(model, {}) ==
        "count  status        ids\n"
        "    3  chan receive  1-3\n"
        "    1  ?             7\n"
        "4 goroutines in 2 groups\n");
}

TEST_CASE("a backtrace looks like GDB's, with the CFA and the size of each frame") {
  auto snapshot = snapshot_of({parked(7)});
  auto& g = snapshot.goroutines[0];
  g.wait_ns = 5 * 60'000'000'000 + 1;
  auto inlined = frame("inner", "park.cpp", 20);
  inlined.inlined = true;
  auto outer = frame("parked(int)::{lambda()#1}::operator()", "/home/someone/park.cpp", 21);
  outer.args = "n=3, text=\"abc\"";
  auto unknown = frame("", "", 5);
  Backtrace backtrace{{inlined, outer, unknown}, true, ""};
  CHECK(backtrace_text({{&g}, backtrace, 0}, {}) ==
        "goroutine 7 [chan receive, 5 minutes]:\n"
        "#   pc        cfa                size  function\n"
        "#0  0x401014  0x7f0000000630  inlined  in inner at park.cpp:20\n"
        "#1  0x401015  0x7f0000000630       48  in parked(int)::{lambda()#1}::operator() (n=3, text=\"abc\") at "
        "/home/someone/park.cpp:21\n"
        "#2  0x401005  0x7f0000000630       48  in ?? in park\n");
  backtrace.complete = false;
  backtrace.stop_reason = "no unwind information";
  CHECK(backtrace_text({{&g}, backtrace, 1}, {}) ==
        "goroutine 7 [chan receive, 5 minutes]:\n"
        "#   pc        cfa                size  function\n"
        "#0  0x401014  0x7f0000000630  inlined  in inner at park.cpp:20\n"
        "2 frames outside these: --limit 0\n");
}

TEST_CASE("the header of a goroutine in a library call names the function") {
  auto g = parked(7);
  g.status = "syscall";
  g.wait_reason = "read";
  CHECK(goroutine_header(g) == "goroutine 7 [syscall (read)]:");
  g.wait_ns = 5 * 60'000'000'000;
  CHECK(goroutine_header(g) == "goroutine 7 [syscall (read), 5 minutes]:");
  g.wait_reason = "";
  CHECK(goroutine_header(g) == "goroutine 7 [syscall, 5 minutes]:");
  g.locked = true;
  CHECK(goroutine_header(g) == "goroutine 7 [syscall, 5 minutes, locked to thread]:");
}

TEST_CASE("equal stacks are printed once, without what differs between them") {
  auto snapshot = snapshot_of({parked(7), parked(8), parked(12)});
  auto& g = snapshot.goroutines;
  auto only = frame("parked", "park.cpp", 21);
  only.args = "n=3";
  CHECK(backtrace_text({{&g[0], &g[1], &g[2]}, {{only}, false, "pc 0x1 is in no module"}, 0}, {}) ==
        "3 goroutines [chan receive]: 7-8, 12\n"
        "#   pc        cfa  size  function\n"
        "#0  0x401015         48  in parked at park.cpp:21\n"
        "(stopped: pc 0x1 is in no module)\n");
}

TEST_CASE("a stack is drawn to scale, with its marks, what comes next and its frames") {
  auto snapshot = snapshot_of({parked(7)});
  const auto& g = snapshot.goroutines[0];
  const Backtrace backtrace{{frame("parked", "/home/someone/park.cpp", 21)}, true, ""};
  CHECK(stack_text({snapshot, g, backtrace, report_stack(g, snapshot), true}, {}) ==
        "goroutine 7 [chan receive]: parked at park.cpp:21\n"
        "  +--------+ 0x7f0000007800 hi\n"
        "  |########|\n"
        "  |########|\n"
        "  |........| 0x7f00000076c8 sp, 312 used\n"
        "  |........|\n"
        "  |........|\n"
        "  |        | 0x7f0000007544 high-water, 700 used at most\n"
        "  |        |\n"
        "  |        |\n"
        "  |        | 0x7f00000073a0 guard, lo + 928\n"
        "  |--------|\n"
        "  |--------| 0x7f00000072a0 StackSmall, guard - 256\n"
        "  |--------|\n"
        "  |--------|\n"
        "  |--------|\n"
        "  |--------|\n"
        "  |--------|\n"
        "  +--------+ 0x7f0000007000 lo, canary intact\n"
        "  one row is 128 bytes\n"
        "  size         2048 bytes in 1 segment, 312 used, 808 to the guard, 700 used at most\n"
        "  guard        armed, stackguard0 0x7f00000073a0\n"
        "  next check   passes for frames up to 808 bytes; a larger one copies the stack to 4096 bytes or more if all its "
        "frames are "
        "movable, else links a segment of 8192 bytes or more\n"
        "  will shrink  no: 2048 bytes is the minimum\n"
        "  counters     0 grows, 0 shrinks, 0 links, 0 hot splits, 0 bytes copied\n"
        "#   size  sp              function\n"
        "#0    48  0x7f0000000600  parked at park.cpp:21\n");
}

TEST_CASE("a chain of segments is a table, and a goroutine without a stack says so") {
  auto snapshot = snapshot_of({parked(7)});
  auto& g = snapshot.goroutines[0];
  g.stack.segments.push_back({0x10000, 0x12000, 0x11000, 0x401234, "deep", "/x/deep.cpp", 20});
  HotSplit split;
  split.pc = 0x401234;
  split.count = 5;
  snapshot.hot_splits = {split, split};
  const auto text = stack_text({snapshot, g, {{}, true, ""}, report_stack(g, snapshot), false}, {});
  CHECK(text.find("lo, canary OVERWRITTEN\n") != std::string::npos);
  CHECK(text.find("high-water, ") == std::string::npos);
  CHECK(
      text.ends_with("segment  lo              hi              size  used  sp              links  left for\n"
                     "current  0x7f0000007000  0x7f0000007800  2048   312  0x7f00000076c8\n"
                     "      1  0x10000         0x12000         8192  4096  0x11000            10  deep (deep.cpp:20)\n"));
  g.stack = {};
  CHECK(stack_text({snapshot, g, {}, report_stack(g, snapshot), {}}, {}) ==
        "goroutine 7 [chan receive]: parked at park.cpp:21\n  no stack\n");
}

TEST_CASE("sched shows Ps, Ms, queues and idle ones") {
  auto snapshot = snapshot_of({});
  Processor p;
  p.status = "running";
  p.m = 1;
  p.run_next = 5;
  p.ticks = 77;
  for (std::uint64_t id = 10; id < 24; ++id) p.run_queue.push_back(id);
  Processor idle;
  idle.id = 1;
  idle.status = "idle";
  snapshot.ps = {p, idle};
  Machine m;
  m.id = 1;
  m.tid = 4243;
  m.status = "running";
  m.goroutine = 7;
  m.p = 0;
  m.stack_lo = 0x7f0000000000;
  m.stack_hi = 0x7f0000010000;
  m.guard_size = 4096;
  m.sp = 0x7f000000f000;
  Machine blocked = m;
  blocked.id = 2;
  blocked.tid = 4244;
  blocked.status = "blocking";
  blocked.goroutine = 8;
  blocked.p.reset();
  blocked.call = "read";
  snapshot.ms = {m, blocked};
  snapshot.m_counts = {3, 2, 1};
  const OsThread main{4242, "main", {}, 0x7ffd00020000, 0x7ffd00000000, 0x7ffd00021000, 0, 0};
  const OsThread of_m{4243, "", 1, 0, 0, 0, 0, 2};
  const OsThread remote{4245, "", {}, 0, 0, 0, 0, {}};  // of another machine
  snapshot.threads = {main, of_m, remote};
  snapshot.scheduler.global_queue = {30, 31};
  snapshot.scheduler.values.insert({{"idle_ps", 1}, {"idle_ms", 0}, {"live", 12}, {"created", 10'000}});
  CHECK(scheduler_text(snapshot, {}) ==
        "P  status   M  ticks  run-next  queued  run queue\n"
        "0  running  1     77         5      14  10 11 12 13 14 15 16 17 18 19 20 21 ... and 2 more\n"
        "1  idle     -      0         -       0\n"
        "\n"
        "M  thread  status    goroutine  P  in call  system stack                      size  used  guard  CPU\n"
        "1    4243  running           7  0           0x7f0000000000 - 0x7f0000010000  65536  4096   4096    2\n"
        "2    4244  blocking          8  -  read     0x7f0000000000 - 0x7f0000010000  65536  4096   4096    -\n"
        "1 of 3 Ms could not be read\n"
        "\n"
        "other thread  name  stack                              size  used  guard  CPU\n"
        "        4242  main  0x7ffd00000000 - 0x7ffd00021000  135168  4096      0    0\n"
        "        4245        ?                                     ?     -      ?    -\n"
        "\n"
        "global queue  2: 30 31\n"
        "idle          Ps 1: 1, Ms 0\n"
        "waiting\n"
        "goroutines    live 12, created 10,000\n"
        "stacks        policy auto, start size 2048, segment 8192, maximum 1,073,741,824\n");
}

TEST_CASE("history is a table of events and a line of totals") {
  auto snapshot = snapshot_of({});
  snapshot.scheduler.values["start"] = 1'000'000'000;
  StackEvent grow{1'000'500'000, 7,        "grow",    0x1000,        0x2000, 2048, 4096, 1312, 33, 0,
                  1200,          0x401000, "recurse", "/x/grow.cpp", 21};
  StackEvent shrink{2'000'000'000, 8, "shrink", 0x2000, 0x1000, 4096, 2048, 512, 3, 0, 80, 0, "", "", 0};
  snapshot.events = {grow, shrink};
  snapshot.event_counts = {12, 2, 10};
  HistoryModel model{snapshot, {&snapshot.events[0], &snapshot.events[1]}, {}, 0};
  CHECK(history_text(model, {}) ==
        "    time  goroutine  kind     old   new  used  adjusted    took  function\n"
        "0.000500          7  grow    2048  4096  1312        33  1.2 us  recurse (grow.cpp:21)\n"
        "1.000000          8  shrink  4096  2048   512         3   80 ns\n"
        "1 grow, 1 shrink, 0 links, 0 releases; 10 lost\n");
  HistoryModel one{snapshot, {&snapshot.events[1]}, 8, 3};
  CHECK(history_text(one, {}) ==
        "3 more before these: --all\n"
        "    time  goroutine  kind     old   new  used  adjusted   took  function\n"
        "1.000000          8  shrink  4096  2048   512         3  80 ns\n"
        "0 grows, 1 shrink, 0 links, 0 releases; 10 lost\n");
  snapshot.events[1].scanned = 2;
  CHECK(history_text(one, {}) ==
        "3 more before these: --all\n"
        "    time  goroutine  kind     old   new  used  adjusted  scanned   took  function\n"
        "1.000000          8  shrink  4096  2048   512         3        2  80 ns\n"
        "0 grows, 1 shrink, 0 links, 0 releases; 10 lost\n");
}

TEST_CASE("splits are a table, hottest first, with what found no place in it") {
  auto snapshot = snapshot_of({});
  HotSplit hot;
  hot.pc = 0x401000;
  hot.caller = 0x402000;
  hot.count = 1'000'000;
  hot.allocated = 1;
  hot.bytes = 624;
  hot.function = "callee";
  hot.file = "/x/hot_split.cpp";
  hot.line = 29;
  HotSplit rest;
  rest.count = 7;
  snapshot.hot_splits = {hot, rest};
  CHECK(splits_text({snapshot, 2}, {}) ==
        "    links  allocated  bytes  function                                 called from\n"
        "1,000,000          1    624  callee (hot_split.cpp:29)                0x402000\n"
        "        7          0      0  boundaries without a place in the table\n"
        "1,000,007 links in 2 places, 1 segment allocated\n");
  CHECK(splits_text({snapshot, 1}, {}).find("\n1 more: --all\n") != std::string::npos);
}

TEST_CASE("runtime names the descriptor, what is off, and the damage") {
  auto snapshot = snapshot_of({parked(1)});
  auto& runtime = snapshot.runtime;
  runtime.version = "stacktide 0.1.0";
  runtime.producer = "note in /home/someone/park";
  runtime.descriptor = 0x563234191000;
  runtime.abi_major = 1;
  runtime.constants = {{"canary", 0x57ac71de0ddba115}, {"guard_preempt", -1314}};
  runtime.contracts = {{"events", 9}};
  runtime.disabled = {"contract events is version 9, this stacktide knows 1: history is off"};
  runtime.type_sizes = {{"goroutine", 256}};
  snapshot.damage = {"core is cut short"};
  CHECK(runtime_text(snapshot, {}) ==
        "target      process 4242 (/home/someone/park)\n"
        "runtime     stacktide 0.1.0\n"
        "descriptor  0x563234191000, by its note in /home/someone/park\n"
        "ABI         1.0\n"
        "policy      auto\n"
        "goroutines  1 read, 0 skipped\n"
        "events      0 written, 0 read, 0 lost\n"
        "contracts   events 9\n"
        "constants   canary 0x57ac71de0ddba115\n"
        "            guard_preempt -1314\n"
        "sizes       goroutine 256\n"
        "off         contract events is version 9, this stacktide knows 1: history is off\n"
        "damage      core is cut short\n");
}

TEST_CASE("JSON follows the schema, field by field") {
  auto snapshot = snapshot_of({parked(7)});
  auto& g = snapshot.goroutines[0];
  g.entry = "worker";
  const auto json = to_json(g);
  CHECK(json["id"] == 7);
  CHECK(json["stack"]["lo"] == "0x7f0000007000");
  CHECK(json["stack"]["guard_state"] == "armed");
  CHECK(json["stack"]["headroom"] == 808);
  CHECK(json["damage"].is_null());
  CHECK(dump(json_head(snapshot)) ==
        "{\"schema\":\"stacktide/1\",\"target\":{\"description\":\"process 4242 "
        "(/home/someone/park)\",\"kind\":\"process\",\"pid\":4242}}\n");
  CHECK(dump(to_json(g))
            .starts_with("{\"id\":7,\"status\":\"waiting\",\"wait_reason\":\"chan "
                         "receive\",\"function\":\"parked\",\"file\":\"/home/someone/park.cpp\","
                         "\"line\":21,\"entry\":\"worker\",\"stack\":{\"lo\":\"0x7f0000007000\",\"hi\":\"0x7f0000007800\","
                         "\"size\":2048,"
                         "\"guard\":\"0x7f00000073a0\",\"guard_state\":\"armed\","));
  g.damage.push_back({ErrorCode::memory_fault, 0x1000, "its record"});
  CHECK(to_json(g)["damage"][0]["code"] == "memory_fault");
  CHECK(to_json(g)["damage"][0]["address"] == "0x1000");
  g.stack.sp = 0;
  CHECK(to_json(g)["stack"]["used"].is_null());
}

TEST_CASE("bytes that are no UTF-8 do not break JSON, and control characters do not reach a terminal") {
  auto g = parked(1);
  g.function = "\xff\xfe";
  CHECK(dump(to_json(g)).find("\xef\xbf\xbd") != std::string::npos);
  CHECK(printable("a\x1b[31m\n\x7f\xc3\xa9") == "a\\x1b[31m\\x0a\\x7f\xc3\xa9");
}

TEST_CASE("long names lose their template arguments, operators keep theirs") {
  const std::string longish(64, 'x');
  CHECK(short_name("f<int>") == "f<int>");
  CHECK(short_name("stacktide::detail::closure<void (*)(int, stacktide::channel<int>), int>::call<0, 1, 2, 3>") ==
        "stacktide::detail::closure<...>::call<...>");
  CHECK(short_name(longish + "::operator<<<int>") == longish + "::operator<<<int>");
  CHECK(short_name(longish + "::operator->") == longish + "::operator->");
}

TEST_CASE("durations, counts and waits are written for people") {
  CHECK(duration(999) == "999 ns");
  CHECK(duration(1'234) == "1.2 us");
  CHECK(duration(3'100'000) == "3.1 ms");
  CHECK(duration(2'500'000'000) == "2.5 s");
  CHECK(grouped(9800) == "9800");
  CHECK(grouped(1'234'567) == "1,234,567");
  CHECK(long_wait(59'999'999'999) == "");
  CHECK(long_wait(60'000'000'000) == "1 minute");
  CHECK(plural(1, "grow") == "1 grow");
}
