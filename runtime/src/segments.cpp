#include "segments.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "event_clock.h"
#include "events.h"
#include "fatal.h"
#include "hot_splits.h"
#include "recorder.h"
#include "scheduler.h"
#include "stack.h"
#include "stack_growth.h"

namespace stacktide::runtime {
namespace {

void* at(std::uint64_t address) { return reinterpret_cast<void*>(address); }

void release_spare(Goroutine& g) {
  Segment* spare = g.own->spare;
  g.own->spare = nullptr;
  while (spare != nullptr) {
    Segment* previous = spare->previous;
    free_stack(spare->lo, spare->hi - spare->lo, g.id);
    std::free(spare);
    spare = previous;
  }
}

}  // namespace

void set_extents(Goroutine& g, std::uint64_t lo, std::uint64_t hi) {
  g.stack_lo = lo;
  g.stack_hi = hi;
  g.stackguard = lo + kStackGuard;
  g.stackguard0 = g.stackguard;
}

std::uint64_t total_size(const Goroutine& g) {
  std::uint64_t size = g.stack_hi - g.stack_lo;
  for (const Segment* segment = g.segments; segment != nullptr; segment = segment->previous)
    size += segment->hi - segment->lo;
  return size;
}

std::uint64_t link_segment(Goroutine& g, const Demand& demand) {
  // As aligned as the arguments are, up to a page: more than their types ask for, maybe, and never less.
  const std::uint64_t source = demand.sp + 8;
  const std::uint64_t alignment = demand.args == 0 ? 64 : std::clamp<std::uint64_t>(source & -source, 64, 4096);
  std::uint64_t need = kStackGuard + demand.frame + demand.args + kStackSmall + alignment;
  if (need < scheduler.segment_size) need = scheduler.segment_size;
  const std::uint64_t size = std::bit_ceil(need);
  if (total_size(g) + size > scheduler.max_stack) fatal_stack_limit(g, scheduler.max_stack);
  Segment* segment = g.own->spare;
  const bool reuse = segment != nullptr && segment->hi - segment->lo >= size;
  // The function that crossed last crosses again: a loop over the boundary.
  const bool hot = reuse && segment->pc == demand.pc;
  const std::uint32_t chain = stack_chain(g, demand.pc, demand.caller);  // while its context is on the old segment
  // A look at the clock is much of what a boundary in a loop costs: one for the event, and one more only where there is
  // something to measure.
  const std::int64_t start = reuse ? 0 : EventClock::now();
  if (reuse) {
    g.own->spare = segment->previous;
    if (hot) ++g.hot_splits;
  } else {
    segment = static_cast<Segment*>(std::malloc(sizeof(Segment)));
    if (segment == nullptr) fatal("out of memory for a stack segment");
    segment->lo = allocate_stack(size);
    segment->hi = segment->lo + size;
  }
  release_spare(g);
  const std::uint64_t old_lo = g.stack_lo;
  const std::uint64_t old_size = g.stack_hi - g.stack_lo;
  const std::uint64_t used = g.stack_hi - demand.sp;
  const std::uint64_t lo = segment->lo;
  const std::uint64_t hi = segment->hi;
  const std::uint64_t body_sp = (hi - demand.args) & ~(alignment - 1);
  std::memcpy(at(body_sp), at(source), demand.args);
  {
    Changing changing(g);
    *segment = {g.stack_lo, g.stack_hi, g.sp, demand.pc, g.segments};
    g.segments = segment;
    set_extents(g, lo, hi);
    g.sp = body_sp;
  }
  ++g.links;
  count_split(demand.pc, demand.caller, demand.frame + demand.args, !reuse);
  const std::int64_t end = EventClock::now();
  record_event({end, g.id, old_lo, lo, demand.pc, clamp32(old_size), clamp32(hi - lo), clamp32(used), 0, 0,
                reuse ? 0 : elapsed32(start, end), event_kind_link, 0},
               demand.caller, chain, hot);
  return body_sp;
}

void unlink_segment(Goroutine& g) {
  Segment* segment = g.segments;
  const std::uint64_t lo = g.stack_lo;
  const std::uint64_t hi = g.stack_hi;
  {
    Changing changing(g);
    g.segments = segment->previous;
    set_extents(g, segment->lo, segment->hi);
    g.sp = segment->sp;
  }
  record_event({EventClock::now(), g.id, lo, g.stack_lo, segment->pc, clamp32(hi - lo), clamp32(g.stack_hi - g.stack_lo), 0,
                0, 0, 0, event_kind_release, 0},
               0);
  // The record now describes the stretch that was left.
  *segment = {lo, hi, 0, segment->pc, g.own->spare};
  g.own->spare = segment;
}

void free_stacks(Goroutine& g) {
  release_spare(g);
  while (g.segments != nullptr) {
    Segment* segment = g.segments;
    free_stack(g.stack_lo, g.stack_hi - g.stack_lo, g.id);
    g.segments = segment->previous;
    set_extents(g, segment->lo, segment->hi);
    std::free(segment);
  }
  free_stack(g.stack_lo, g.stack_hi - g.stack_lo, g.id);
}

}  // namespace stacktide::runtime
