#include "trace/totals.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/printable.h"

namespace stacktide {
namespace {

// Go's numbers of statuses (abi.h).
constexpr std::uint16_t kRunnable = 1;
constexpr std::uint16_t kRunning = 2;

}  // namespace

void Growth::add(const Growth& other) {
  grows += other.grows;
  links += other.links;
  hot_splits += other.hot_splits;
  shrinks += other.shrinks;
  releases += other.releases;
  thrash += other.thrash;
  bytes_copied += other.bytes_copied;
  nanoseconds += other.nanoseconds;
  largest = std::max(largest, other.largest);
  if (other.longest > longest) {
    longest = other.longest;
    longest_time = other.longest_time;
    longest_goroutine = other.longest_goroutine;
  }
}

void Growth::count(const stacktide_trace_stack& event, std::uint64_t size, bool is_thrash) {
  const auto kind = event.head.kind;
  grows += kind == STACKTIDE_TRACE_GROW ? 1 : 0;
  shrinks += kind == STACKTIDE_TRACE_SHRINK ? 1 : 0;
  links += kind == STACKTIDE_TRACE_LINK ? 1 : 0;
  releases += kind == STACKTIDE_TRACE_RELEASE ? 1 : 0;
  hot_splits += kind == STACKTIDE_TRACE_LINK && (event.head.flags & STACKTIDE_TRACE_HOT) != 0 ? 1 : 0;
  thrash += is_thrash ? 1 : 0;
  largest = std::max(largest, size);
  if (kind == STACKTIDE_TRACE_GROW || kind == STACKTIDE_TRACE_SHRINK) bytes_copied += event.used;
  if (kind == STACKTIDE_TRACE_RELEASE) return;
  nanoseconds += event.duration;
  if (event.duration <= longest) return;
  longest = event.duration;
  longest_time = event.head.time;
  longest_goroutine = event.head.goroutine;
}

GoroutineTotals& TraceTotals::goroutine(std::uint64_t id) {
  if (id < direct_.size() && direct_[id] != nullptr) return *direct_[id];
  auto& g = goroutines_[id];
  g.id = id;
  if (id >= kDirect) return g;
  if (id >= direct_.size()) direct_.resize(std::max<std::size_t>(id + 1, 2 * direct_.size()));
  direct_[id] = &g;
  return g;
}

void TraceTotals::add(const stacktide_trace_head& record) {
  if (record.kind < kKinds) ++records_[record.kind];
  switch (record.kind) {
    case STACKTIDE_TRACE_GROW:
    case STACKTIDE_TRACE_SHRINK:
    case STACKTIDE_TRACE_LINK:
    case STACKTIDE_TRACE_RELEASE:
      return add_stack(reinterpret_cast<const stacktide_trace_stack&>(record));
    case STACKTIDE_TRACE_SPAWN:
      return add_spawn(reinterpret_cast<const stacktide_trace_spawn&>(record));
    case STACKTIDE_TRACE_EXIT:
    case STACKTIDE_TRACE_LIVE:
      return add_counters(reinterpret_cast<const stacktide_trace_goroutine&>(record));
    case STACKTIDE_TRACE_PARK:
      return add_park(reinterpret_cast<const stacktide_trace_park&>(record));
    case STACKTIDE_TRACE_READY:
      return add_ready(record);
    case STACKTIDE_TRACE_LABEL: {
      const std::string_view rest(reinterpret_cast<const char*>(&record) + sizeof(stacktide_trace_text),
                                  record.size - sizeof(stacktide_trace_text));
      goroutine(record.goroutine).label = printable(rest.substr(0, rest.find('\0')));
      return;
    }
    default:
      return;
  }
}

void TraceTotals::add_stack(const stacktide_trace_stack& record) {
  const auto kind = record.head.kind;
  auto& g = goroutine(record.head.goroutine);
  g.segments.see(record);
  g.first_size = g.segments.first;
  g.size = g.segments.now;
  if (kind != STACKTIDE_TRACE_RELEASE) {
    const auto below = kind == STACKTIDE_TRACE_LINK ? g.segments.older - record.old_size : g.segments.older;
    g.high_water = std::max(g.high_water, below + record.used);
  }
  if (kind == STACKTIDE_TRACE_GROW || kind == STACKTIDE_TRACE_LINK) g.last_chain = record.head.number;
  const auto chain = g.last_chain;
  const bool is_thrash =
      kind == STACKTIDE_TRACE_GROW && g.last_move == STACKTIDE_TRACE_SHRINK && g.move_before == STACKTIDE_TRACE_GROW;
  // A stack is halved once at a time: several shrinks in a row are one way down.
  if ((kind == STACKTIDE_TRACE_GROW || kind == STACKTIDE_TRACE_SHRINK) && kind != g.last_move) {
    g.move_before = g.last_move;
    g.last_move = kind;
  }
  if (filter_.goroutine && !filter_.goroutine(g)) return;
  if (filter_.chain && !filter_.chain(chain)) return;
  g.growth.count(record, g.size, is_thrash);
  all_.count(record, g.size, is_thrash);
  chains_[chain].count(record, g.size, is_thrash);
}

void TraceTotals::add_spawn(const stacktide_trace_spawn& record) {
  auto& g = goroutine(record.head.goroutine);
  g.parent = record.parent;
  g.entry = record.entry;
  g.created_at = record.head.number;
  g.creation_pc = record.creation_pc;
  g.main = (record.head.flags & STACKTIDE_TRACE_MAIN) != 0;
  g.spawned = record.head.time;
  // Another lane's record of it may have come first, by a time that is a little off.
  if (g.segments.known) return;
  g.segments.start(record.stack_size);
  g.first_size = g.size = record.stack_size;
  // A size that the filter's chains reached is asked for, where it has some.
  if (filter_.chain || (filter_.goroutine && !filter_.goroutine(g))) return;
  g.growth.largest = std::max(g.growth.largest, g.size);
  all_.largest = std::max(all_.largest, g.size);
}

void TraceTotals::add_counters(const stacktide_trace_goroutine& record) {
  auto& g = goroutine(record.head.goroutine);
  g.counters = record;
  g.high_water = std::max(g.high_water, record.high_water);
  if (record.head.kind == STACKTIDE_TRACE_EXIT) {
    g.exited = record.head.time;
    g.waiting = false;
    return;
  }
  g.live = true;
  if (record.since <= 0 || record.since > record.head.time) return;
  g.waiting = true;
  g.wait_reason = record.wait_reason;
  g.wait_since = record.since;
  if (record.head.number != 0) g.parked_at = record.head.number;
}

void TraceTotals::add_park(const stacktide_trace_park& record) {
  auto& g = goroutine(record.head.goroutine);
  ++g.parks;
  ++waits_[record.wait_reason].parks;
  g.waiting = true;
  g.wait_reason = record.wait_reason;
  g.parked_at = record.head.number;
  g.wait_since = record.head.time;
  g.high_water = std::max<std::uint64_t>(g.high_water, record.used);
}

void TraceTotals::add_ready(const stacktide_trace_head& record) {
  auto& g = goroutine(record.goroutine);
  if (!g.waiting) return;
  g.waiting = false;
  // Records of different lanes may be microseconds out of order.
  const auto waited =
      record.time > g.wait_since ? static_cast<std::uint64_t>(record.time) - static_cast<std::uint64_t>(g.wait_since) : 0;
  g.parked_ns += waited;
  auto& sum = waits_[g.wait_reason];
  ++sum.ended;
  sum.nanoseconds += waited;
  sum.longest = std::max(sum.longest, waited);
}

bool TraceTotals::is_left(const GoroutineTotals& goroutine, bool has_end) const {
  if (goroutine.main) return false;
  if (!has_end && records(STACKTIDE_TRACE_LIVE) == 0) return !goroutine.exited;
  const auto status = goroutine.counters ? goroutine.counters->status : 0;
  return goroutine.live && status != kRunnable && status != kRunning;
}

std::vector<std::string> TraceTotals::check_counters(std::size_t limit) const {
  std::vector<std::string> lines;
  if (filter_.goroutine || filter_.chain) return lines;
  std::vector<const GoroutineTotals*> order;
  for (const auto& [id, g] : goroutines_) {
    // Of one that was there before the recording, the runtime has counted what is not in it.
    if (!g.counters || !g.spawned) continue;
    const auto& c = *g.counters;
    if (g.growth.grows != c.grows || g.growth.links != c.links || g.growth.shrinks != c.shrinks ||
        g.growth.hot_splits != c.hot_splits || g.growth.bytes_copied != c.bytes_copied)
      order.push_back(&g);
  }
  std::ranges::sort(order, {}, &GoroutineTotals::id);
  order.resize(std::min(order.size(), limit));
  for (const auto* g : order) {
    const auto& c = *g->counters;
    std::string line;
    const auto compare = [&](std::string_view what, std::uint64_t ours, std::uint64_t theirs) {
      if (ours == theirs) return;
      line += fmt::format("{} {} {}, the runtime counted {}", line.empty() ? "" : ";", ours, what, theirs);
    };
    compare("grows", g->growth.grows, c.grows);
    compare("links", g->growth.links, c.links);
    compare("shrinks", g->growth.shrinks, c.shrinks);
    compare("hot splits", g->growth.hot_splits, c.hot_splits);
    compare("bytes copied", g->growth.bytes_copied, c.bytes_copied);
    lines.push_back(fmt::format("goroutine {}:{}", g->id, line));
  }
  return lines;
}

}  // namespace stacktide
