// A trace as a moment: its end. Goroutines are grouped by entry function and place of creation, and those that have ended
// count too, in what they cost; alive are those without a record of their exit.
//
// Conditions ask of a goroutine what a list would: function, file and line are those of its entry, since where it stood
// differs from record to record.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "command/moments.h"
#include "trace/recorded_names.h"
#include "trace/recording.h"
#include "trace/totals.h"

namespace stacktide {
namespace {

MomentPlace to_place(TracePlace place) { return {std::move(place.function), std::move(place.file), place.line}; }

class TraceMoment {
 public:
  TraceMoment(const Recording& recording, const MomentWish& wish) : names_(recording), wish_(wish) {}

  void add(const GoroutineTotals& totals) {
    const auto& entry = entry_of(totals.entry);
    const auto& creation = creation_of(totals.created_at, totals.creation_pc);
    if (!wish_.matcher.matches(goroutine(totals, entry, creation))) return;
    MomentGroup wanted;
    wanted.entry = entry.function;
    wanted.place = entry;
    wanted.creators.push_back({creation, 0});
    wanted.key = key_of(wanted, Grouping::creation);
    bool fresh = false;
    const auto number = groups_.find(wanted.key, fresh);
    auto& group = moment_.groups[number];
    if (fresh) group = std::move(wanted);
    add_creator(group, creation, 1);
    group.trace.add({totals.spawned ? 1U : 0U, totals.exited ? 1U : 0U, totals.growth.grows + totals.growth.links,
                     totals.growth.bytes_copied, std::max(totals.growth.largest, totals.first_size)});
    if (totals.exited) return;
    ++group.count;
    group.stack_bytes += size_of(totals);
    moment_.goroutines.push_back({totals.id, size_of(totals), number});
  }
  Moment finish() {
    moment_.problems = names_.warnings();
    moment_.finish();
    return std::move(moment_);
  }

 private:
  static std::uint64_t size_of(const GoroutineTotals& totals) {
    return totals.counters ? totals.counters->stack_size : totals.size;
  }

  Goroutine goroutine(const GoroutineTotals& totals, const MomentPlace& entry, const MomentPlace& creation) {
    Goroutine g;
    g.id = totals.id;
    g.parent = totals.parent;
    g.label = totals.label;
    g.status = totals.exited ? "dead" : totals.waiting ? "waiting" : "runnable";
    if (totals.waiting) g.wait_reason = names_.wait_reason(totals.wait_reason);
    g.entry = g.function = entry.function;
    g.file = entry.file;
    g.line = entry.line;
    g.created_by = creation.function;
    g.stack.size = size_of(totals);
    g.stack.high_water = totals.high_water;
    g.grows = totals.growth.grows;
    g.links = totals.growth.links;
    g.shrinks = totals.growth.shrinks;
    g.hot_splits = totals.growth.hot_splits;
    g.bytes_copied = totals.growth.bytes_copied;
    return g;
  }

  const MomentPlace& entry_of(std::uint64_t address) {
    auto [found, fresh] = entries_.try_emplace(address);
    if (fresh) found->second = to_place(names_.entry(address));
    return found->second;
  }

  const MomentPlace& creation_of(std::uint32_t chain, std::uint64_t pc) {
    auto [found, fresh] = creations_.try_emplace(std::pair(chain, pc));
    if (!fresh) return found->second;
    found->second = to_place(names_.user_place(chain));
    if (!found->second.function.empty() || pc == 0) return found->second;
    const auto& levels = names_.levels(pc, false);
    if (const auto user = std::ranges::find_if(levels, is_user_level); user != levels.end())
      found->second = {user->function, user->file, user->line};
    return found->second;
  }

  RecordedNames names_;
  const MomentWish& wish_;
  Moment moment_;
  MomentGroups groups_{moment_};
  std::map<std::uint64_t, MomentPlace> entries_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, MomentPlace> creations_;
};

}  // namespace

Result<Moment> read_trace_moment(const MomentSource& source, const MomentWish& wish) {
  const auto recording = STACKTIDE_TRY(Recording::open(source.path));
  TraceTotals totals;
  recording.visit([&](const TraceRecord& record) { totals.add(*record.head); });
  TraceMoment reader(recording, wish);
  for (const auto& [id, goroutine] : totals.goroutines()) reader.add(goroutine);
  auto moment = reader.finish();
  const auto& info = recording.info();
  moment.source = source.path;
  moment.kind = MomentKind::trace;
  moment.pid = info.header.pid;
  moment.grouping = Grouping::creation;
  moment.problems.insert(moment.problems.begin(), info.damage.begin(), info.damage.end());
  if (info.header.lost != 0)
    moment.problems.push_back(fmt::format("{} records were lost while recording", info.header.lost));
  return moment;
}

}  // namespace stacktide
