#include "analyze/diff.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace stacktide {
namespace {

std::int64_t difference(std::uint64_t before, std::uint64_t after) { return static_cast<std::int64_t>(after - before); }

bool equal(const TraceNumbers& a, const TraceNumbers& b) {
  return a.spawned == b.spawned && a.exited == b.exited && a.grows == b.grows && a.bytes_copied == b.bytes_copied &&
         a.largest == b.largest;
}

// Biggest growth first: by goroutines, then by what else there is; names settle the rest, so that the order is always the
// same.
bool comes_first(const GroupChange& a, const GroupChange& b) {
  const auto rank = [](const GroupChange& c) {
    return std::tuple(-c.change(), -c.stack_change(), -difference(c.old_trace().grows, c.new_trace().grows),
                      -difference(c.old_trace().bytes_copied, c.new_trace().bytes_copied));
  };
  const auto left = rank(a);
  const auto right = rank(b);
  return left != right ? left < right : a.shown().key < b.shown().key;
}

std::vector<StackGrowth> grown_stacks(const Moment& before, const Moment& after) {
  std::vector<StackGrowth> grown;
  auto old = before.goroutines.begin();
  for (const auto& now : after.goroutines) {
    while (old != before.goroutines.end() && old->id < now.id) ++old;
    if (old == before.goroutines.end()) break;
    const auto& group = after.groups[now.group];
    if (old->id != now.id || now.size <= old->size || before.groups[old->group].entry != group.entry) continue;
    grown.push_back({now.id, old->size, now.size, &group});
  }
  std::ranges::stable_sort(grown, std::ranges::greater{},
                           [](const StackGrowth& growth) { return growth.new_size - growth.old_size; });
  return grown;
}

void check(MomentDiff& diff, const Moment& before, const Moment& after, const DiffLimits& limits) {
  const auto over = [](std::int64_t value, const std::optional<std::uint64_t>& limit) {
    return limit && value > 0 && static_cast<std::uint64_t>(value) > *limit;
  };
  if (const auto more = difference(before.count(), after.count()); over(more, limits.most_new)) {
    const auto& most = diff.changes.front();  // one did: the sum is positive
    diff.findings.push_back({"max-new", *limits.most_new, more, &most.shown(), most.change()});
  }
  for (const auto& change : diff.changes) {
    if (!over(change.change(), limits.most_group_growth)) continue;
    diff.findings.push_back(
        {"max-group-growth", *limits.most_group_growth, change.change(), &change.shown(), change.change()});
  }
  if (const auto more = difference(before.stack_bytes, after.stack_bytes); over(more, limits.most_stack_growth)) {
    const auto most = std::ranges::max_element(diff.changes, {}, &GroupChange::stack_change);
    diff.findings.push_back({"max-stack-growth", *limits.most_stack_growth, more, &most->shown(), most->stack_change()});
  }
}

}  // namespace

std::int64_t GroupChange::stack_change() const {
  return difference(before == nullptr ? 0 : before->stack_bytes, after == nullptr ? 0 : after->stack_bytes);
}

const char* GroupChange::what() const {
  if (before == nullptr) return "appeared";
  if (after == nullptr) return "vanished";
  return change() > 0 ? "grew" : change() < 0 ? "shrank" : "changed";
}

MomentDiff compare(const Moment& before, const Moment& after, const DiffLimits& limits) {
  MomentDiff diff;
  diff.grouping = after.grouping;
  std::unordered_map<std::string_view, const MomentGroup*> old_groups;
  for (const auto& group : before.groups) old_groups.emplace(group.key, &group);
  const auto keep = [&](const GroupChange& change) {
    if (change.change() == 0 && change.stack_change() == 0 && equal(change.old_trace(), change.new_trace())) {
      ++diff.unchanged;
    } else {
      diff.changes.push_back(change);
    }
  };
  for (const auto& group : after.groups) {
    const auto found = old_groups.find(group.key);
    keep({found == old_groups.end() ? nullptr : found->second, &group});
    if (found != old_groups.end()) old_groups.erase(found);
  }
  for (const auto& group : before.groups) {
    if (old_groups.contains(group.key)) keep({&group, nullptr});
  }
  std::ranges::sort(diff.changes, comes_first);
  // Two traces are two runs: an id means nothing in the other.
  diff.same_process = before.pid == after.pid && after.kind != MomentKind::trace;
  if (diff.same_process) diff.grown = grown_stacks(before, after);
  check(diff, before, after, limits);
  return diff;
}

}  // namespace stacktide
