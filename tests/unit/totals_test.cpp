// What a trace adds up to.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "trace/totals.h"

#include <doctest/doctest.h>

#include <cstring>

using namespace stacktide;

namespace {

void stack(TraceTotals& totals, std::uint8_t kind, std::int64_t time, std::uint64_t goroutine, std::uint32_t chain,
           std::uint32_t old_size, std::uint32_t new_size, std::uint32_t used, std::uint32_t duration = 100,
           std::uint8_t flags = 0) {
  totals.add(stacktide_trace_stack{
      {kind, flags, sizeof(stacktide_trace_stack), chain, time, goroutine}, old_size, new_size, used, duration, 0, 0}
                 .head);
}

void spawn(TraceTotals& totals, std::int64_t time, std::uint64_t goroutine, std::uint64_t size) {
  const stacktide_trace_spawn record{{STACKTIDE_TRACE_SPAWN, 0, sizeof record, 0, time, goroutine}, 1, 0x1000, 0x2000, size};
  totals.add(record.head);
}

void counters(TraceTotals& totals, std::uint8_t kind, std::int64_t time, std::uint64_t goroutine,
              stacktide_trace_goroutine record) {
  record.head = {kind, 0, sizeof record, 0, time, goroutine};
  totals.add(record.head);
}

void park(TraceTotals& totals, std::int64_t time, std::uint64_t goroutine, std::uint16_t reason, std::uint32_t used = 0) {
  const stacktide_trace_park record{{STACKTIDE_TRACE_PARK, 0, sizeof record, 5, time, goroutine}, used, reason, 0, 0};
  totals.add(record.head);
}

void ready(TraceTotals& totals, std::int64_t time, std::uint64_t goroutine) {
  const stacktide_trace_ready record{{STACKTIDE_TRACE_READY, 0, sizeof record, 0, time, goroutine}, 0};
  totals.add(record.head);
}

constexpr std::uint8_t kGrow = STACKTIDE_TRACE_GROW;
constexpr std::uint8_t kShrink = STACKTIDE_TRACE_SHRINK;
constexpr std::uint8_t kLink = STACKTIDE_TRACE_LINK;
constexpr std::uint8_t kRelease = STACKTIDE_TRACE_RELEASE;

}  // namespace

TEST_CASE("sums are those of the records, per goroutine, per chain and over all") {
  TraceTotals totals;
  spawn(totals, 1, 7, 2048);
  stack(totals, kGrow, 2, 7, 1, 2048, 4096, 1500, 700);
  stack(totals, kGrow, 3, 7, 2, 4096, 16384, 3500, 900);
  stack(totals, kShrink, 4, 7, 0, 16384, 8192, 400, 300);
  stack(totals, kGrow, 5, 8, 1, 2048, 4096, 1600, 200);
  const auto& all = totals.all();
  CHECK(all.grows == 3);
  CHECK(all.shrinks == 1);
  CHECK(all.events() == 4);
  CHECK(all.bytes_copied == 7000);
  CHECK(all.nanoseconds == 2100);
  CHECK(all.longest == 900);
  CHECK(all.longest_time == 3);
  CHECK(all.longest_goroutine == 7);
  CHECK(all.largest == 16384);
  const auto& seven = totals.goroutines().at(7);
  CHECK(seven.first_size == 2048);
  CHECK(seven.size == 8192);
  CHECK(seven.high_water == 3500);
  CHECK(seven.growth.bytes_copied == 5400);
  // A shrink has no chain of its own: it is counted where the stack became so large.
  CHECK(totals.chains().at(1).bytes_copied == 3100);
  CHECK(totals.chains().at(2).bytes_copied == 3900);
  CHECK(totals.chains().at(2).shrinks == 1);
  CHECK(totals.chains().size() == 2);
  CHECK(totals.spawned() == 1);
  CHECK(totals.goroutines().at(8).first_size == 2048);
}

TEST_CASE("a grow after a shrink after a grow is thrash; other orders are not") {
  TraceTotals totals;
  stack(totals, kGrow, 1, 1, 1, 2048, 4096, 1500);
  stack(totals, kShrink, 2, 1, 0, 4096, 2048, 300);
  stack(totals, kShrink, 2, 2, 0, 4096, 2048, 300);
  stack(totals, kGrow, 3, 1, 3, 2048, 4096, 1500);
  stack(totals, kGrow, 3, 2, 3, 2048, 4096, 1500);
  stack(totals, kGrow, 4, 1, 3, 4096, 8192, 3000);
  stack(totals, kLink, 5, 1, 4, 8192, 4096, 5000);
  stack(totals, kShrink, 6, 1, 0, 8192, 4096, 300);
  stack(totals, kGrow, 7, 1, 6, 4096, 8192, 3000);
  // Halved twice, and needed again.
  stack(totals, kGrow, 8, 3, 7, 4096, 8192, 3000);
  stack(totals, kShrink, 9, 3, 0, 8192, 4096, 300);
  stack(totals, kShrink, 10, 3, 0, 4096, 2048, 300);
  stack(totals, kGrow, 11, 3, 7, 2048, 4096, 1500);
  stack(totals, kGrow, 12, 3, 7, 4096, 8192, 3000);
  CHECK(totals.all().thrash == 3);
  CHECK(totals.goroutines().at(1).growth.thrash == 2);
  CHECK(totals.goroutines().at(3).growth.thrash == 1);
  CHECK(totals.chains().at(3).thrash == 1);
  CHECK(totals.chains().at(6).thrash == 1);
}

TEST_CASE("the largest stack is that of all segments together") {
  TraceTotals totals;
  spawn(totals, 1, 3, 8192);
  stack(totals, kLink, 2, 3, 1, 8192, 8192, 7000);
  CHECK(totals.goroutines().at(3).size == 16384);
  stack(totals, kLink, 3, 3, 2, 8192, 16384, 6000, 50, STACKTIDE_TRACE_HOT);
  CHECK(totals.goroutines().at(3).size == 32768);
  CHECK(totals.goroutines().at(3).high_water == 8192 + 6000);
  stack(totals, kRelease, 4, 3, 0, 16384, 8192, 0, 0);
  stack(totals, kRelease, 5, 3, 0, 8192, 8192, 0, 0);
  CHECK(totals.goroutines().at(3).size == 8192);
  CHECK(totals.all().largest == 32768);
  CHECK(totals.all().links == 2);
  CHECK(totals.all().hot_splits == 1);
  CHECK(totals.all().releases == 2);
  CHECK(totals.all().nanoseconds == 150);
  CHECK(totals.all().bytes_copied == 0);
  CHECK(totals.chains().at(2).releases == 2);
  // One whose beginning was not seen: a release tells the segment below.
  stack(totals, kRelease, 6, 4, 0, 4096, 2048, 0, 0);
  CHECK(totals.goroutines().at(4).first_size == 6144);
  CHECK(totals.goroutines().at(4).size == 2048);
}

TEST_CASE("waits are summed when they end, and the last one is kept") {
  TraceTotals totals;
  park(totals, 100, 1, 3, 900);
  ready(totals, 150, 1);
  ready(totals, 160, 1);
  park(totals, 200, 1, 4);
  const auto& one = totals.goroutines().at(1);
  CHECK(one.parks == 2);
  CHECK(one.parked_ns == 50);
  CHECK(one.waiting);
  CHECK(one.wait_reason == 4);
  CHECK(one.wait_since == 200);
  CHECK(one.parked_at == 5);
  CHECK(one.high_water == 900);
  counters(totals, STACKTIDE_TRACE_EXIT, 300, 1, {});
  CHECK_FALSE(one.waiting);
  CHECK(one.exited == 300);
  CHECK(totals.exited() == 1);
}

TEST_CASE("the runtime's own counters are compared, a line for each goroutine that differs") {
  TraceTotals totals;
  for (const std::uint64_t id : {4, 5, 6}) {
    spawn(totals, 1, id, 2048);
    stack(totals, kGrow, 2, id, 1, 2048, 4096, 1500);
  }
  stacktide_trace_goroutine right{};
  right.grows = 1;
  right.bytes_copied = 1500;
  counters(totals, STACKTIDE_TRACE_EXIT, 9, 4, right);
  auto wrong = right;
  wrong.grows = 2;
  wrong.bytes_copied = 4000;
  counters(totals, STACKTIDE_TRACE_LIVE, 9, 5, wrong);
  CHECK(totals.goroutines().at(5).live);
  wrong = right;
  wrong.hot_splits = 3;
  counters(totals, STACKTIDE_TRACE_EXIT, 9, 6, wrong);
  // It was there before the recording began.
  counters(totals, STACKTIDE_TRACE_EXIT, 9, 7, right);
  using Strings = std::vector<std::string>;
  CHECK(totals.check_counters(10) ==
        Strings{"goroutine 5: 1 grows, the runtime counted 2; 1500 bytes copied, the runtime counted 4000",
                "goroutine 6: 0 hot splits, the runtime counted 3"});
  CHECK(totals.check_counters(1).size() == 1);
}

TEST_CASE("a filter leaves goroutines and chains out of the sums, and out of nothing else") {
  TraceTotals totals({[](const GoroutineTotals& g) { return g.id != 2; }, [](std::uint32_t chain) { return chain == 1; }});
  for (const std::uint64_t id : {1, 2}) {
    spawn(totals, 1, id, 65536);
    stack(totals, kGrow, 2, id, 1, 2048, 4096, 1000);
    stack(totals, kGrow, 3, id, 2, 4096, 8192, 2000);
    stack(totals, kShrink, 4, id, 0, 8192, 4096, 300);
    park(totals, 5, id, 1);
  }
  CHECK(totals.all().grows == 1);
  CHECK(totals.all().shrinks == 0);
  CHECK(totals.all().largest == 4096);
  CHECK(totals.goroutines().at(2).growth.events() == 0);
  CHECK(totals.goroutines().at(2).size == 4096);
  CHECK(totals.goroutines().at(2).parks == 1);
  CHECK(totals.records(kGrow) == 4);
  CHECK(totals.check_counters(10).empty());
}
