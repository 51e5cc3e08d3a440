// The live trace on rings made of bytes: which events are new, which are lost, which are chosen, and how they are shown.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "stacktide/core/trace.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "descriptor/descriptor.h"
#include "support/fake_runtime.h"
#include "support/fake_target.h"
#include "trace/ring_reader.h"
#include "view/trace.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

constexpr Address kModule = 0x40000000;

Values grow(std::uint64_t time, std::uint64_t goroutine, std::uint64_t from, std::uint64_t to) {
  return {{"time", time}, {"goroutine", goroutine}, {"kind", 1}, {"old_size", from}, {"new_size", to}, {"used", from - 100}};
}

// A process whose rings fill up while it is looked at.
struct Process {
  Process() {
    runtime.goroutines.push_back(FakeRuntime::parked(1));
    target.kind_ = TargetKind::host;
  }
  // Event n of each ring happens at 10 * n + ring, in goroutine 100 * ring + n.
  void add(std::size_t ring, std::uint64_t count) {
    auto& r = runtime.rings.at(ring);
    r.slots.resize(r.capacity);
    for (std::uint64_t i = 0; i < count; ++i, ++r.count)
      r.slots[r.count % r.capacity] = grow(r.count * 10 + ring, ring * 100 + r.count, 2048, 4096);
  }
  void place() { runtime.place(target.memory_); }
  NewEvents read() {
    place();
    const auto descriptor = *read_descriptor(target.memory_, runtime.image.address);
    return reader.read(target.memory_, descriptor, make_layout(descriptor));
  }
  void skip() {
    place();
    const auto descriptor = *read_descriptor(target.memory_, runtime.image.address);
    reader.skip(target.memory_, descriptor, make_layout(descriptor));
  }

  FakeRuntime runtime;
  FakeTarget target;
  RingReader reader;
};

std::vector<std::uint64_t> goroutines_of(const NewEvents& found) {
  std::vector<std::uint64_t> ids;
  for (const auto& event : found.events) ids.push_back(event.goroutine);
  return ids;
}

using Ids = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("each event is returned once, by time over all rings, with its ring and number") {
  Process process;
  process.runtime.rings = {FakeRing{8, 0, {}}, FakeRing{8, 0, {}}};
  CHECK(process.read().events.empty());
  process.add(0, 2);
  process.add(1, 1);
  const auto first = process.read();
  CHECK(goroutines_of(first) == Ids{0, 100, 1});
  CHECK(first.events[1].ring == 1);
  CHECK(first.events[2].number == 1);
  CHECK(first.events[2].kind == "grow");
  CHECK(process.read().events.empty());
  process.add(1, 2);
  CHECK(goroutines_of(process.read()) == Ids{101, 102});
}

TEST_CASE("a ring that wraps is read in two pieces, and half a ring between two reads is never lost") {
  Process process;
  process.runtime.rings = {FakeRing{8, 0, {}}};
  std::uint64_t next = 0;
  for (int round = 0; round < 5; ++round) {
    process.add(0, round == 3 ? 3 : 4);
    const auto found = process.read();
    CHECK(found.lost == 0);
    for (const auto id : goroutines_of(found)) CHECK(id == next++);
  }
  CHECK(next == 19);
}

TEST_CASE("events that were overwritten are counted, the slot that may be half written among them") {
  Process process;
  process.runtime.rings = {FakeRing{8, 0, {}}};
  process.add(0, 1);
  CHECK(process.read().lost == 0);
  process.add(0, 20);
  const auto found = process.read();
  CHECK(goroutines_of(found) == Ids{14, 15, 16, 17, 18, 19, 20});
  CHECK(found.lost == 13);
  // Exactly as many as are safe: capacity - 1.
  process.add(0, 7);
  CHECK(process.read().lost == 0);
  process.add(0, 8);
  CHECK(process.read().lost == 1);
}

TEST_CASE("what is skipped, or older than the trace, is neither returned nor lost") {
  Process process;
  process.runtime.rings = {FakeRing{8, 0, {}}, FakeRing{8, 0, {}}};
  process.add(0, 30);
  process.skip();
  process.add(0, 1);
  process.add(1, 1);
  auto found = process.read();
  CHECK(goroutines_of(found) == Ids{100, 30});
  CHECK(found.lost == 0);
  process.reader.drop_before(320);
  process.add(0, 3);
  found = process.read();
  CHECK(goroutines_of(found) == Ids{32, 33});
  CHECK(found.lost == 0);
}

TEST_CASE("a process that is first seen at the hook begins where its rings were last half full") {
  Process process;
  process.runtime.rings = {FakeRing{8, 0, {}}, FakeRing{8, 0, {}}};
  SUBCASE("from its start") {
    process.add(0, 4);
    process.add(1, 3);
    CHECK(process.read().events.size() == 7);
  }
  SUBCASE("found running, at the hook of ring 0") {
    process.add(0, 12);
    process.add(1, 6);
    const auto found = process.read();
    CHECK(goroutines_of(found) == Ids{104, 105, 8, 9, 10, 11});
    CHECK(found.lost == 0);
  }
}

TEST_CASE("another process starts over, also when nobody said so") {
  Process process;
  process.runtime.rings = {FakeRing{8, 0, {}}};
  process.add(0, 4);
  CHECK(process.read().events.size() == 4);
  process.runtime.rings = {FakeRing{8, 0, {}}};
  process.add(0, 2);
  CHECK(goroutines_of(process.read()) == Ids{0, 1});
  process.runtime.rings = {FakeRing{8, 0, {}}};
  process.add(0, 3);
  process.reader.restart();
  CHECK(goroutines_of(process.read()) == Ids{0, 1, 2});
}

TEST_CASE("rings that cannot be believed or read are problems in words, and the others are read") {
  Process process;
  process.runtime.rings = {FakeRing{8, 0, {}}, FakeRing{3, 2, {}}, FakeRing{8, 2, {}}};
  process.add(0, 1);
  process.place();
  process.target.memory_.punch(process.runtime.ring_address(2) + 1, 1 << 12);
  const auto descriptor = *read_descriptor(process.target.memory_, process.runtime.image.address);
  const auto found = process.reader.read(process.target.memory_, descriptor, make_layout(descriptor));
  CHECK(goroutines_of(found) == Ids{0});
  CHECK(found.lost == 2 + 2);
  CHECK(found.problems == std::vector<std::string>{"event ring 1 of 3 records at 0x710000 is not believable",
                                                   "2 events of ring 2 are not there, from 0x720000"});
}

namespace {

// A trace over a session on fake memory, as a host uses it.
struct Traced {
  explicit Traced(const std::vector<std::string>& words) : trace(std::move(*Trace::make(words))) {
    auto owned = std::make_unique<FakeTarget>();
    target = owned.get();
    target->kind_ = TargetKind::host;
    runtime.goroutines.push_back(FakeRuntime::parked(1));
    runtime.rings = {FakeRing{64, 0, {}}};
    session = std::make_unique<Session>(std::move(owned));
    write();
    target->add_module_with_note(kModule, runtime.image.address);
  }
  void add(const Values& event) {
    auto& ring = runtime.rings[0];
    ring.slots.push_back(event);
    ++ring.count;
    write();
  }
  void write() { runtime.place(target->memory_); }
  TraceOutput collect(const TraceStop& stop = {}) {
    auto output = trace.collect(*session, stop);
    REQUIRE(output);
    return *output;
  }
  std::string show(const std::vector<std::string>& words = {}) { return trace.show(words, {}, true).out; }

  FakeRuntime runtime;
  FakeTarget* target = nullptr;
  std::unique_ptr<Session> session;
  Trace trace;
};

}  // namespace

TEST_CASE("conditions: goroutine, kind and size; what meets none is counted") {
  Traced traced({"--goroutine", "7", "--kind", "grow,segment", "--size-above", "4K"});
  traced.add(grow(1, 7, 2048, 4096));  // not above
  traced.add(grow(2, 7, 4096, 8192));  // this one
  traced.add(grow(3, 8, 4096, 8192));  // of another
  traced.add({{"time", 4}, {"goroutine", 7}, {"kind", 2}, {"old_size", 8192}, {"new_size", 4096}});
  traced.add({{"time", 5}, {"goroutine", 7}, {"kind", 3}, {"old_size", 4096}, {"new_size", 8192}, {"used", 4000}});
  traced.add({{"time", 6}, {"goroutine", 7}, {"kind", 4}, {"old_size", 8192}, {"new_size", 4096}});
  CHECK(traced.collect().text ==
        "goroutine 7 grew 4096 -> 8192 bytes, used 3996\n"
        "goroutine 7 linked a segment of 8192 bytes, used 4000\n"
        "goroutine 7 released a segment of 8192 bytes\n");
  CHECK(traced.show().ends_with(
      "3 stack events: 1 grew, 1 linked, 1 released; 3 others filtered out; 0 lost; 0 stops; tracing is on\n"));
}

TEST_CASE("a condition on the function is met by no event without one") {
  Traced traced({"--function", "."});
  traced.add({{"time", 4}, {"goroutine", 7}, {"kind", 2}, {"old_size", 8192}, {"new_size", 4096}});
  CHECK(traced.collect().text.empty());
}

TEST_CASE("lost events are said in a line, and problems once") {
  Traced traced({});
  traced.add(grow(1, 7, 2048, 4096));
  CHECK(traced.collect().text == "goroutine 7 grew 2048 -> 4096 bytes, used 1948\n");
  traced.runtime.rings[0].count += 100;
  traced.runtime.rings[0].slots.assign(64, grow(2, 7, 4096, 8192));
  traced.write();
  const auto text = traced.collect({.at_hook = true, .event = 0, .caller = 0, .registers = {}}).text;
  CHECK(text.find("stacktide: trace: 37 stack events were overwritten before they could be read\n") != std::string::npos);
  CHECK(traced.show().find("; 37 lost; 1 stop; tracing is on\n") != std::string::npos);
}

TEST_CASE("at the event hook it is the one event, and --stop stops for those that meet the conditions") {
  Traced traced({"--stop", "--size-above", "4096"});
  CHECK(traced.trace.per_event());
  traced.runtime.put(traced.target->memory_, "event", 0x700000, grow(1, 7, 2048, 4096));
  traced.runtime.put(traced.target->memory_, "event", 0x701000, grow(2, 7, 4096, 8192));
  const auto small = traced.collect({.at_hook = true, .event = 0x700000, .caller = 0, .registers = {}});
  CHECK(small.text.empty());
  CHECK_FALSE(small.stop);
  const auto large = traced.collect({.at_hook = true, .event = 0x701000, .caller = 0, .registers = {}});
  CHECK(large.text == "goroutine 7 grew 4096 -> 8192 bytes, used 3996\n");
  CHECK(large.stop);
  CHECK(traced.collect().text.empty());  // at other stops there is nothing to say
  CHECK(traced.trace.collect(*traced.session, {.at_hook = true, .event = 1, .caller = 0, .registers = {}}).error().code ==
        ErrorCode::memory_fault);
}

TEST_CASE("a session that was opened before the runtime had started finds the rings later") {
  Traced traced({});
  SUBCASE("when there was no descriptor") {
    traced.target->memory_.punch(traced.runtime.image.address, 64);
    CHECK_FALSE(traced.trace.collect(*traced.session, {}));
    traced.trace.skip(*traced.session);
  }
  SUBCASE("when there were no rings") {
    traced.runtime.rings.clear();
    traced.write();
    traced.trace.skip(*traced.session);
    CHECK(traced.collect().text.empty());
    traced.runtime.rings = {FakeRing{64, 0, {}}};
  }
  traced.add(grow(INT64_MAX, 7, 2048, 4096));
  CHECK(traced.collect().text == "goroutine 7 grew 2048 -> 4096 bytes, used 1948\n");
}

TEST_CASE("the hooks are found by the descriptor where they have no name") {
  Traced traced({});
  CHECK(Trace::find_hook(*traced.session, pending_hook()).error().code == ErrorCode::no_symbols);
  auto& image = traced.runtime.image;
  image.roots.push_back({image.name("pending_hook"), STACKTIDE_NO_TYPE, 0x401000, 1, 0, 1});
  image.roots.push_back({image.name("event_hook"), STACKTIDE_NO_TYPE, 0x402000, 1, 0, 1});
  Traced other({});
  other.runtime.image.roots = image.roots;
  other.runtime.image.names = image.names;
  other.write();
  CHECK(*Trace::find_hook(*other.session, pending_hook()) == 0x401000);
  CHECK(*Trace::find_hook(*other.session, event_hook()) == 0x402000);
}

TEST_CASE("show limits its rows, and has a chart of one goroutine") {
  Traced traced({});
  traced.add(grow(0, 7, 2048, 4096));
  traced.add(grow(500, 7, 4096, 8192));
  traced.add({{"time", 1000}, {"goroutine", 7}, {"kind", 2}, {"old_size", 8192}, {"new_size", 4096}, {"used", 10}});
  traced.collect();
  CommandOptions narrow;
  narrow.width = 28;
  const auto shown = traced.trace.show({"--limit", "2"}, narrow, false);
  CHECK(shown.exit_code == 0);
  CHECK(shown.out ==
        "1 more before these: --all\n"
        "    time  goroutine  kind            size  used  function\n"
        "0.000000          7  grow    4096 -> 8192  3996\n"
        "0.000001          7  shrink  8192 -> 4096    10\n"
        "\n"
        "goroutine 7: 2048 to 8192 bytes, now 4096\n"
        "    8K |          ##########\n"
        "    4K |####################\n"
        "    2K |####################\n"
        "        0             1.0 us\n"
        "\n"
        "3 stack events: 2 grew, 1 shrank; 0 lost; 0 stops; tracing is off\n");
  CommandOptions prompt;
  prompt.terminal = true;
  CHECK(traced.trace.show({}, prompt, false).out.find("--all") == std::string::npos);
}

TEST_CASE("of several goroutines show has a row each, those with most events first") {
  EventLog log;
  StackEvent event;
  event.kind = "grow";
  for (std::int64_t time = 0; time <= 100; time += 10) {
    event.time = time;
    event.goroutine = 5;
    event.old_size = time % 20 == 0 ? 2048 : 4096;
    event.new_size = time % 20 == 0 ? 4096 : 2048;
    log.add(event, 0);
  }
  event.goroutine = 6;
  event.time = 55;
  event.old_size = 2048;
  event.new_size = 262144;
  log.add(event, 0);
  CHECK(trace_picture(log, {false, 76}) ==
        "goroutine  events  smallest  largest     now  over 100 ns\n"
        "      all      12                             |@ @ @ @ @ @@@ @ @ @@|\n"
        "        5      11      2048     4096    4096  |:::.:::.:::.:::.::::|\n"
        "        6       1      2048   262144  262144  |           @@@@@@@@@|\n"
        "sizes from . 2K to @ 256K; all: events, few . to many @\n");
}

TEST_CASE("segments add up, and the kept events have a bound that show speaks of") {
  EventLog log;
  StackEvent event;
  event.goroutine = 9;
  event.kind = "link";
  event.old_size = 2048;
  event.new_size = 8192;
  log.add(event, 0);
  event.time = 100;
  event.kind = "release";
  event.old_size = 8192;
  event.new_size = 2048;
  log.add(event, 0);
  CHECK(trace_picture(log, {false, 24}).starts_with("goroutine 9: 2048 to 10240 bytes, now 2048\n"));
  // One that was not seen to shrink has been smaller all the same.
  EventLog gaps;
  event.kind = "grow";
  for (const std::int64_t time : {200, 300}) {
    event.time = time;
    event.old_size = 2048;
    event.new_size = 32768;
    gaps.add(event, 0);
  }
  CHECK(trace_picture(gaps, {false, 24}).starts_with("goroutine 9: 2048 to 32768 bytes, now 32768\n"));
  for (std::size_t i = 0; i < EventLog::kKept; ++i) log.add(event, 0);
  CHECK(log.events().size() == EventLog::kKept);
  CHECK(log.total() == EventLog::kKept + 2);
  CHECK(trace_text({log, 0, 3, 0, 0, false}, {})
            .starts_with("(the first 2 are counted below but not kept)\n100,000 more before these: --all\n"));
}
