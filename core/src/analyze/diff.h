// What changed between two moments of a program: groups of goroutines, and the stacks of goroutines that are in both.
//
// Concept. Groups are matched by their keys, goroutines by id and entry. Limits turn the difference into findings: a leak
// check.
//
// Invariants. A goroutine is compared with itself only when both moments are of one process: ids begin anew in the next.
// Changes are exact: the groups' sum is the total.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyze/moment.h"

namespace stacktide {

struct GroupChange {
  const MomentGroup* before = nullptr;  // at least one of both
  const MomentGroup* after = nullptr;
  const MomentGroup& shown() const { return after != nullptr ? *after : *before; }
  std::uint64_t old_count() const { return before == nullptr ? 0 : before->count; }
  std::uint64_t new_count() const { return after == nullptr ? 0 : after->count; }
  std::int64_t change() const { return static_cast<std::int64_t>(new_count() - old_count()); }
  std::int64_t stack_change() const;  // bytes
  TraceNumbers old_trace() const { return before == nullptr ? TraceNumbers{} : before->trace; }
  TraceNumbers new_trace() const { return after == nullptr ? TraceNumbers{} : after->trace; }
  // "appeared", "vanished", "grew", "shrank"; "changed" when it has as many goroutines as before. Static.
  const char* what() const;
};

struct StackGrowth {
  std::uint64_t id = 0;
  std::uint64_t old_size = 0;
  std::uint64_t new_size = 0;
  const MomentGroup* group = nullptr;  // where it is in the new moment
};

struct DiffLimits {
  std::optional<std::uint64_t> most_new;           // goroutines more in total
  std::optional<std::uint64_t> most_group_growth;  // more in any group
  std::optional<std::uint64_t> most_stack_growth;  // bytes more over all stacks
};

// A limit that was exceeded.
struct DiffFinding {
  std::string limit;  // "max-new"
  std::uint64_t allowed = 0;
  std::int64_t value = 0;
  const MomentGroup* group = nullptr;  // the one that grew most; nullptr none did
  std::int64_t group_change = 0;       // in what the limit counts
};

struct MomentDiff {
  Grouping grouping = Grouping::stack;
  std::vector<GroupChange> changes;  // that differ, biggest growth first
  std::uint64_t unchanged = 0;       // groups
  std::vector<StackGrowth> grown;    // biggest growth first
  bool same_process = true;          // else goroutines were not compared one by one
  std::vector<DiffFinding> findings;
};

// Both must have the same grouping, and outlive the result.
MomentDiff compare(const Moment& before, const Moment& after, const DiffLimits& limits);

}  // namespace stacktide
