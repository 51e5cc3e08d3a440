// The text views: each makes the text of one command from plain values. Nothing here reads the target.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analyze/groups.h"
#include "analyze/places.h"
#include "analyze/stack_report.h"
#include "stacktide/core/snapshot.h"
#include "view/text.h"

namespace stacktide {

// `goroutine 7 [chan receive, 5 minutes]:`, as in Go's tracebacks.
std::string goroutine_header(const Goroutine& goroutine);

struct ListModel {
  const Snapshot& snapshot;
  std::vector<GoroutineGroup> groups;  // one row each
  std::size_t shown = 0;               // rows of groups to show
  std::size_t selected = 0;            // goroutines that met the conditions
  bool folded = false;                 // groups have more than one member
  std::uint64_t current = 0;           // id to mark, 0 none
};
std::string list_text(const ListModel& model, const Style& style);

struct GroupModel {
  const Snapshot& snapshot;
  std::vector<GoroutineGroup> groups;
  std::vector<std::string> keys;  // one per group
  std::string by;
};
std::string group_text(const GroupModel& model, const Style& style);

// Does this level lie on an older segment than the one before?
bool begins_segment(const std::vector<Frame>& frames, std::size_t level);

// One stack; of several goroutines, when `members` has more than one.
struct BacktraceModel {
  std::vector<Goroutine*> members;
  Backtrace backtrace;
  std::size_t limit = 0;  // frames, 0 all
};
std::string backtrace_text(const BacktraceModel& model, const Style& style);

struct StackModel {
  const Snapshot& snapshot;
  const Goroutine& goroutine;
  const Backtrace& backtrace;
  StackReport report;
  std::optional<bool> canary_intact;  // nothing: not known
  std::string waits_for{};            // "" when it does not, or that is not known
};
std::string stack_text(const StackModel& model, const Style& style);

std::string scheduler_text(const Snapshot& snapshot, const Style& style);

struct HistoryModel {
  const Snapshot& snapshot;
  std::vector<const StackEvent*> events;
  std::optional<std::uint64_t> goroutine;  // only its events
  std::size_t hidden = 0;                  // older ones left out by a limit
};
struct SplitsModel {
  const Snapshot& snapshot;
  std::size_t shown = 0;  // of snapshot.hot_splits
};
std::string splits_text(const SplitsModel& model, const Style& style);

// When the runtime started, or the first event where that is not known: times are shown as seconds since then.
std::int64_t time_origin(const Snapshot& snapshot);
std::string history_text(const HistoryModel& model, const Style& style);

// In a few words: "n in #4 main", "goroutine 9: #2 worker", "left by goroutine 1 (growth), now at 0x...", "data of kept".
// `self`: the goroutine that asks, 0 none, whose own stack needs no name.
std::string place_in_short(const Place& place, std::uint64_t self);

// `object`: what goroutines wait for there, "" when that is not known.
std::string whereis_text(const Snapshot& snapshot, const Place& place, const Style& style, const std::string& object = "");

std::string runtime_text(const Snapshot& snapshot, const Style& style);

}  // namespace stacktide
