// What a trace adds up to: growth per goroutine, per chain of calls, and over all.
//
// Concept. Fed with records in order of time, from a file or from a live process. Chains are numbers here: names come later
// (trace_names.h). A filter leaves out goroutines and chains, so that a rule about some functions has totals of its own.
//
// Invariants. Sums are exact: counts and bytes are those of the records. Where the runtime's own counters are in the trace
// (exit and live records), check_counters() compares.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "stacktide/trace_file.h"
#include "trace/segment_sizes.h"

namespace stacktide {

// What stack events cost.
struct Growth {
  std::uint64_t grows = 0;
  std::uint64_t links = 0;
  std::uint64_t hot_splits = 0;  // of the links
  std::uint64_t shrinks = 0;
  std::uint64_t releases = 0;
  std::uint64_t thrash = 0;        // grows of a goroutine that follow shrinks that followed grows
  std::uint64_t bytes_copied = 0;  // by grows and shrinks
  std::uint64_t nanoseconds = 0;   // that grows, links and shrinks took
  std::uint64_t longest = 0;       // ns, of one
  std::int64_t longest_time = 0;
  std::uint64_t longest_goroutine = 0;
  std::uint64_t largest = 0;  // bytes of the largest stack: of all segments of a goroutine
  std::uint64_t events() const { return grows + links + shrinks + releases; }
  void add(const Growth& other);
  // One event; `size`: bytes of the goroutine's stack after it.
  void count(const stacktide_trace_stack& event, std::uint64_t size, bool is_thrash);
};

// Waits for one reason.
struct WaitTotals {
  std::uint64_t parks = 0;
  std::uint64_t ended = 0;        // of these, those whose end is in the trace
  std::uint64_t nanoseconds = 0;  // that they took together
  std::uint64_t longest = 0;      // ns, of one that ended
};

struct GoroutineTotals {
  std::uint64_t id = 0;
  std::uint64_t parent = 0;
  std::uint64_t entry = 0;       // address of the entry function, 0: its spawn is not in the trace
  std::uint32_t created_at = 0;  // chain
  std::uint64_t creation_pc = 0;
  bool main = false;
  std::string label;  // the last one
  std::optional<std::int64_t> spawned;
  std::optional<std::int64_t> exited;
  Growth growth;                 // of what the filter lets through
  std::uint64_t first_size = 0;  // bytes of its stack at the start
  std::uint64_t size = 0;        // now, over all segments
  std::uint64_t high_water = 0;  // most bytes used, as far as records say
  std::uint64_t parks = 0;
  std::uint64_t parked_ns = 0;    // over all waits that ended
  bool waiting = false;           // its last park has not ended
  std::uint16_t wait_reason = 0;  // of its last park
  std::uint32_t parked_at = 0;    // chain
  std::int64_t wait_since = 0;
  std::optional<stacktide_trace_goroutine> counters;  // the runtime's own, from its exit or live record
  bool live = false;                                  // a live record: there when the program ended

  // What the sums are made with.
  SegmentSizes segments;
  std::uint32_t last_chain = 0;  // of its last grow or link
  std::uint8_t last_move = 0;    // kind of its last run of grows or shrinks
  std::uint8_t move_before = 0;  // and of the one before
};

struct TraceFilter {
  // Both may be empty: everything. A chain is asked of events that have one; a shrink or a release counts with the chain of
  // the goroutine's last grow or link.
  std::function<bool(const GoroutineTotals&)> goroutine;
  std::function<bool(std::uint32_t chain)> chain;
};

class TraceTotals {
 public:
  TraceTotals() = default;
  // Not copied: it points into itself.
  TraceTotals(TraceTotals&&) = default;
  TraceTotals& operator=(TraceTotals&&) = default;
  explicit TraceTotals(TraceFilter filter) : filter_(std::move(filter)) {}
  // Kinds GROW to LABEL; others are ignored. The record is as long as its kind wants, and a label's text ends within it.
  void add(const stacktide_trace_head& record);

  const Growth& all() const { return all_; }
  const std::unordered_map<std::uint64_t, GoroutineTotals>& goroutines() const { return goroutines_; }
  const std::map<std::uint32_t, Growth>& chains() const { return chains_; }
  // By reason, of all goroutines.
  const std::map<std::uint16_t, WaitTotals>& waits() const { return waits_; }
  std::uint64_t records(std::uint8_t kind) const { return kind < kKinds ? records_[kind] : 0; }
  std::uint64_t spawned() const { return records(STACKTIDE_TRACE_SPAWN); }
  std::uint64_t exited() const { return records(STACKTIDE_TRACE_EXIT); }
  // Was it left behind at the end? Not the main one, nor one that ran, or was about to: the end cut that off. `has_end`: the
  // trace says how the program ended; else whoever has not exited was left.
  bool is_left(const GoroutineTotals& goroutine, bool has_end) const;
  // Goroutines whose sums differ from the runtime's counters, a line each; at most `limit`, without a filter only.
  std::vector<std::string> check_counters(std::size_t limit) const;

 private:
  static constexpr std::size_t kKinds = 32;
  void add_stack(const stacktide_trace_stack& record);
  void add_spawn(const stacktide_trace_spawn& record);
  void add_counters(const stacktide_trace_goroutine& record);
  void add_park(const stacktide_trace_park& record);
  void add_ready(const stacktide_trace_head& record);
  GoroutineTotals& goroutine(std::uint64_t id);

  TraceFilter filter_;
  Growth all_;
  std::unordered_map<std::uint64_t, GoroutineTotals> goroutines_;
  // Ids are given in turn: one look here instead of three into a table of 100,000, which was most of a summary's time.
  static constexpr std::uint64_t kDirect = 1U << 22;
  std::vector<GoroutineTotals*> direct_;  // by id, of those below kDirect; nullptr: not seen
  std::map<std::uint32_t, Growth> chains_;
  std::map<std::uint16_t, WaitTotals> waits_;
  std::uint64_t records_[kKinds] = {};
};

}  // namespace stacktide
