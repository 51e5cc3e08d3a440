#include "analyze/moment.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "analyze/frames.h"

namespace stacktide {
namespace {

// No name has a control character in it.
constexpr char kNext = '\x1f';

void append(std::string& key, const MomentPlace& place) {
  key += place.function;
  key += kNext;
  // Two builds may have been compiled in different folders.
  key += base_name(place.file);
  key += kNext;
  key += fmt::format_int(place.line).c_str();
  key += kNext;
}

}  // namespace

const char* grouping_name(Grouping grouping) {
  switch (grouping) {
    case Grouping::stack:
      return "stack";
    case Grouping::place:
      return "place";
    case Grouping::entry:
      return "entry";
    case Grouping::creation:
      return "creation";
  }
  return "";
}

const char* moment_kind_name(MomentKind kind) {
  switch (kind) {
    case MomentKind::core:
      return "core";
    case MomentKind::list:
      return "list";
    case MomentKind::trace:
      return "trace";
  }
  return "";
}

void TraceNumbers::add(const TraceNumbers& other) {
  spawned += other.spawned;
  exited += other.exited;
  grows += other.grows;
  bytes_copied += other.bytes_copied;
  largest = std::max(largest, other.largest);
}

std::string key_of(const MomentGroup& group, Grouping grouping) {
  std::string key = group.entry + kNext;
  if (grouping == Grouping::creation) {
    for (const auto& creator : group.creators) append(key, creator.place);
  }
  if (grouping == Grouping::entry || grouping == Grouping::creation) return key;
  key += group.state + kNext;
  append(key, group.place);
  if (grouping == Grouping::stack) {
    for (const auto& frame : group.frames) append(key, frame);
  }
  return key;
}

void add_creator(MomentGroup& group, const MomentPlace& place, std::uint64_t count) {
  const auto found = std::ranges::find(group.creators, place, &Creator::place);
  if (found != group.creators.end()) {
    found->count += count;
  } else {
    group.creators.push_back({place, count});
  }
}

std::uint32_t MomentGroups::find(const std::string& key, bool& fresh) {
  const auto [found, made] = index_.try_emplace(key, static_cast<std::uint32_t>(moment_.groups.size()));
  fresh = made;
  if (made) moment_.groups.emplace_back().key = key;
  return found->second;
}

std::uint64_t Moment::count() const {
  std::uint64_t sum = 0;
  for (const auto& group : groups) sum += group.count;
  return sum;
}

void Moment::finish() {
  std::ranges::sort(goroutines, {}, &MomentGoroutine::id);
  stack_bytes = 0;
  for (auto& group : groups) {
    stack_bytes += group.stack_bytes;
    std::ranges::sort(group.creators, [](const Creator& a, const Creator& b) {
      const auto rank = [](const Creator& c) { return std::tie(c.place.function, c.place.file, c.place.line); };
      return a.count != b.count ? a.count > b.count : rank(a) < rank(b);
    });
  }
}

void Moment::regroup(Grouping wanted) {
  Moment coarser;
  MomentGroups index(coarser);
  std::vector<std::uint32_t> moved;
  moved.reserve(groups.size());
  for (auto& group : groups) {
    bool fresh = false;
    moved.push_back(index.find(key_of(group, wanted), fresh));
    auto& into = coarser.groups[moved.back()];
    if (fresh) {
      into.entry = group.entry;
      if (wanted == Grouping::place) {
        into.state = group.state;
        into.place = group.place;
      }
    }
    into.count += group.count;
    into.stack_bytes += group.stack_bytes;
    into.trace.add(group.trace);
    for (const auto& creator : group.creators) add_creator(into, creator.place, creator.count);
  }
  for (auto& goroutine : goroutines) goroutine.group = moved[goroutine.group];
  groups = std::move(coarser.groups);
  grouping = wanted;
  finish();
}

}  // namespace stacktide
