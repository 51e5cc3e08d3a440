#include "analyze/trace_summary.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

namespace stacktide {
namespace {

constexpr std::size_t kDifferent = 10;  // lines

// What cost most time, then what happened most often.
auto cost(const Growth& growth) { return std::tuple(growth.nanoseconds, growth.events(), growth.largest); }

auto key_of(const TracePlace& place) { return std::tuple(place.function, place.file, place.line); }

void sum_entries(TraceSummary& summary, TraceNames& names) {
  using Key = decltype(key_of(TracePlace{}));
  std::map<Key, EntrySum> sums;
  std::unordered_map<std::uint64_t, EntrySum*> by_address;
  for (const auto& [id, g] : summary.totals.goroutines()) {
    auto& sum = by_address[g.entry];
    if (sum == nullptr) {
      const auto place = names.entry(g.entry);
      sum = &sums[key_of(place)];
      sum->entry = place;
    }
    ++sum->goroutines;
    sum->live += g.exited ? 0 : 1;
    sum->high_water = std::max(sum->high_water, g.high_water);
    sum->growth.add(g.growth);
    summary.live += g.exited ? 0 : 1;
    if (g.counters && g.spawned) ++summary.compared;
  }
  for (auto& [key, sum] : sums) summary.entries.push_back(std::move(sum));
  std::ranges::stable_sort(summary.entries, [](const EntrySum& a, const EntrySum& b) {
    return std::tuple(cost(a.growth), a.goroutines) > std::tuple(cost(b.growth), b.goroutines);
  });
}

void sum_functions(TraceSummary& summary, TraceNames& names) {
  std::map<std::pair<decltype(key_of(TracePlace{})), decltype(key_of(TracePlace{}))>, FunctionSum> sums;
  for (const auto& [chain, growth] : summary.totals.chains()) {
    const auto function = names.needed_room(chain);
    const auto caller = names.caller(chain);
    auto& sum = sums[{key_of(function), key_of(caller)}];
    sum.function = function;
    sum.caller = caller;
    sum.growth.add(growth);
  }
  for (auto& [key, sum] : sums) summary.functions.push_back(std::move(sum));
  std::ranges::stable_sort(summary.functions,
                           [](const FunctionSum& a, const FunctionSum& b) { return cost(a.growth) > cost(b.growth); });
}

void sum_waits(TraceSummary& summary, TraceNames& names) {
  std::map<std::uint16_t, WaitSum> sums;
  for (const auto& [reason, totals] : summary.totals.waits()) sums[reason].totals = totals;
  for (const auto& [id, g] : summary.totals.goroutines()) {
    if (g.waiting) ++sums[g.wait_reason].waiting;
  }
  for (auto& [reason, sum] : sums) {
    sum.reason = names.wait_reason(reason);
    summary.waits.push_back(std::move(sum));
  }
  std::ranges::stable_sort(summary.waits, [](const WaitSum& a, const WaitSum& b) {
    return std::tuple(a.totals.parks, a.totals.nanoseconds) > std::tuple(b.totals.parks, b.totals.nanoseconds);
  });
}

}  // namespace

TraceSummary summarize(const Recording& recording, TraceNames& names) {
  TraceSummary summary;
  recording.visit([&](const TraceRecord& record) { summary.totals.add(*record.head); });
  sum_entries(summary, names);
  sum_functions(summary, names);
  sum_waits(summary, names);
  for (const auto& [id, g] : summary.totals.goroutines()) {
    if (g.growth.events() != 0) summary.goroutines.push_back(&g);
  }
  std::ranges::sort(summary.goroutines, [](const GoroutineTotals* a, const GoroutineTotals* b) {
    return std::tuple(cost(a->growth), b->id) > std::tuple(cost(b->growth), a->id);
  });
  summary.different = summary.totals.check_counters(kDifferent);
  return summary;
}

}  // namespace stacktide
