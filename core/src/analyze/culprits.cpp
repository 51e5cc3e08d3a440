#include "analyze/culprits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <unordered_map>

#include "stacktide/abi.h"

namespace stacktide {
namespace {

// What a status value is called. Recordings are our runtime's.
std::string_view status_name(std::uint16_t value) {
  struct Text {
    std::string_view enumeration;
    std::uint32_t value;
    std::string_view text;
  };
#define ROW(enumeration, name, value, text) Text{#enumeration, value, text},
  constexpr std::array kTexts = {STACKTIDE_ENUMS(ROW)};
#undef ROW
  for (const auto& row : kTexts) {
    if (row.enumeration == "status" && row.value == value) return row.text;
  }
  return "in an unknown state";
}

// Those that have most by `amount_of`, in order of ids where they have the same.
template <class AmountOf>
void keep_few(Culprit& culprit, std::vector<std::uint64_t> ids, AmountOf&& amount_of) {
  std::ranges::sort(ids);
  const auto repeated = std::ranges::unique(ids);
  ids.erase(repeated.begin(), repeated.end());
  std::vector<std::pair<double, std::uint64_t>> order;
  for (const auto id : ids) order.emplace_back(-amount_of(id), id);
  const auto few = std::min(order.size(), kFewGoroutines);
  std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(few));
  for (std::size_t i = 0; i < few; ++i) culprit.goroutines.push_back(order[i].second);
  culprit.more_goroutines = order.size() - few;
}

// By which names a sum is compared with the baseline: lines move when something else changes.
using Names = std::tuple<std::string, std::string, std::string>;  // entry, function, caller

struct Site {
  double amount = 0;
  double largest = 0;  // of one chain: its places are shown
  std::uint32_t chain = 0;
  std::vector<std::uint64_t> goroutines;  // with repetitions
};

// The goroutines of one entry function.
struct EntrySums {
  std::string name;
  TraceTotals totals;
  std::unordered_map<std::uint32_t, std::vector<std::uint64_t>> goroutines;  // by chain, one for each growth
};

// A sum, apart by entry function, the function that needed room and its caller.
std::map<Names, Site> sites_of(const Rule& rule, const Measurement& measured) {
  std::unordered_map<std::uint64_t, EntrySums> entries;
  // Those that contribute. There are fewer goroutines than records.
  std::unordered_map<std::uint64_t, EntrySums*> wanted;
  for (const auto& [id, goroutine] : measured.totals().goroutines()) {
    if (measured.amount(rule, goroutine) == 0) continue;
    auto& sums = entries[goroutine.entry];
    if (sums.name.empty()) sums.name = measured.entry_of(goroutine).function;
    wanted.emplace(id, &sums);
  }
  measured.source().visit([&](const stacktide_trace_head& record) {
    if (record.kind > STACKTIDE_TRACE_SPAWN) return;
    const auto found = wanted.find(record.goroutine);
    if (found == wanted.end()) return;
    found->second->totals.add(record);
    if (record.kind == STACKTIDE_TRACE_GROW || record.kind == STACKTIDE_TRACE_LINK)
      found->second->goroutines[record.number].push_back(record.goroutine);
  });
  std::map<Names, Site> sites;
  auto& names = measured.source().names();
  for (auto& [entry, sums] : entries) {
    for (const auto& [chain, growth] : sums.totals.chains()) {
      const auto amount = measured.takes_chain(rule, chain) ? measured.amount(rule.metric, growth) : 0;
      if (amount == 0) continue;
      auto& site = sites[{sums.name, names.needed_room(chain).function, names.caller(chain).function}];
      site.amount += amount;
      if (amount > site.largest || (amount == site.largest && chain < site.chain)) {
        site.largest = amount;
        site.chain = chain;
      }
      const auto& ids = sums.goroutines[chain];
      site.goroutines.insert(site.goroutines.end(), ids.begin(), ids.end());
    }
  }
  return sites;
}

std::vector<Culprit> sum_culprits(const Rule& rule, const Measurement& now, const Measurement* baseline) {
  std::map<Names, Site> before;
  if (baseline != nullptr) before = sites_of(rule, *baseline);
  std::vector<Culprit> culprits;
  for (auto& [names, site] : sites_of(rule, now)) {
    Culprit culprit;
    culprit.amount = culprit.in_place = site.amount;
    if (baseline != nullptr) {
      const auto found = before.find(names);
      culprit.baseline = found == before.end() ? 0 : found->second.amount;
    }
    culprit.entry = std::get<0>(names);
    culprit.place = now.source().names().needed_room(site.chain);
    culprit.caller = now.source().names().caller(site.chain);
    keep_few(culprit, std::move(site.goroutines),
             [&](std::uint64_t id) { return now.amount(rule, now.totals().goroutines().at(id)); });
    culprits.push_back(std::move(culprit));
  }
  return culprits;
}

// The goroutine that has most, by entry function's name.
std::map<std::string, const GoroutineTotals*> worst_by_entry(const Rule& rule, const Measurement& measured) {
  std::map<std::string, const GoroutineTotals*> worst;
  for (const auto& [id, goroutine] : measured.totals().goroutines()) {
    const auto amount = measured.amount(rule, goroutine);
    if (amount == 0) continue;
    auto& place = worst[measured.entry_of(goroutine).function];
    const auto best = place == nullptr ? 0 : measured.amount(rule, *place);
    if (amount > best || (amount == best && id < place->id)) place = &goroutine;
  }
  return worst;
}

TracePlace creation_of(const GoroutineTotals& goroutine, TraceNames& names) {
  if (goroutine.created_at != 0) return names.user_place(goroutine.created_at);
  if (goroutine.creation_pc == 0) return {};
  const auto& levels = names.levels(goroutine.creation_pc, false);
  const auto user = std::ranges::find_if(levels, is_user_level);
  const auto& level = user == levels.end() ? levels.back() : *user;
  return {level.function.empty() ? fmt::format("{:#x}", goroutine.creation_pc) : level.function, level.file, level.line};
}

// Where one goroutine used most.
struct Use {
  std::uint32_t used = 0;
  std::uint32_t chain = 0;
  bool parked = false;
};

void look_at_use(Use& most, const stacktide_trace_head& record) {
  const bool parked = record.kind == STACKTIDE_TRACE_PARK;
  if (!parked && record.kind != STACKTIDE_TRACE_GROW && record.kind != STACKTIDE_TRACE_LINK) return;
  const auto used = parked ? reinterpret_cast<const stacktide_trace_park&>(record).used
                           : reinterpret_cast<const stacktide_trace_stack&>(record).used;
  if (used > most.used) most = {used, record.number, parked};
}

void place_use(Culprit& culprit, const Use& use, const Measurement& now) {
  auto& names = now.source().names();
  if (use.parked) {
    culprit.place = now.waits_at(use.chain);
    return;
  }
  culprit.place = names.needed_room(use.chain);
  culprit.caller = names.caller(use.chain);
}

void place_growth(Culprit& culprit, const Rule& rule, const TraceTotals& totals, const Measurement& now) {
  std::uint32_t worst = 0;
  for (const auto& [chain, growth] : totals.chains()) {
    const auto amount = now.takes_chain(rule, chain) ? now.amount(rule.metric, growth) : 0;
    if (amount <= culprit.in_place) continue;
    culprit.in_place = amount;
    worst = chain;
  }
  culprit.place = now.source().names().needed_room(worst);
  culprit.caller = now.source().names().caller(worst);
}

std::vector<Culprit> maximum_culprits(const Rule& rule, const Measurement& now, const Measurement* baseline, double limit) {
  const auto worst = worst_by_entry(rule, now);
  std::map<std::string, const GoroutineTotals*> before;
  if (baseline != nullptr) before = worst_by_entry(rule, *baseline);
  std::map<std::uint64_t, TraceTotals> growth;
  std::map<std::uint64_t, Use> use;
  for (const auto& [entry, goroutine] : worst) {
    if (now.amount(rule, *goroutine) > limit) growth[goroutine->id];
  }
  now.source().visit([&](const stacktide_trace_head& record) {
    const auto found = growth.find(record.goroutine);
    if (found == growth.end()) return;
    found->second.add(record);
    look_at_use(use[record.goroutine], record);
  });
  std::vector<Culprit> culprits;
  for (const auto& [entry, goroutine] : worst) {
    if (!growth.contains(goroutine->id)) continue;
    Culprit culprit;
    culprit.amount = now.amount(rule, *goroutine);
    if (baseline != nullptr) {
      const auto found = before.find(entry);
      culprit.baseline = found == before.end() ? 0 : baseline->amount(rule, *found->second);
    }
    culprit.entry = entry;
    culprit.goroutines = {goroutine->id};
    if (rule.metric == Metric::high_water) {
      place_use(culprit, use[goroutine->id], now);
    } else {
      place_growth(culprit, rule, growth[goroutine->id], now);
    }
    culprits.push_back(std::move(culprit));
  }
  return culprits;
}

// Goroutines that are left, together by entry, place, reason and creation.
template <class Wanted>
std::vector<Culprit> waiting_culprits(const Measurement& measured, Wanted&& wanted) {
  using Key = std::tuple<std::string, std::string, std::uint32_t, std::string, std::string, std::uint32_t>;
  struct Group {
    Culprit culprit;
    std::vector<std::uint64_t> goroutines;
  };
  std::map<Key, Group> groups;
  auto& names = measured.source().names();
  for (const auto& [id, goroutine] : measured.totals().goroutines()) {
    if (!wanted(goroutine)) continue;
    Culprit culprit;
    culprit.entry = measured.entry_of(goroutine).function;
    culprit.place = measured.waits_at(goroutine.parked_at);
    culprit.caller = creation_of(goroutine, names);
    if (goroutine.waiting) {
      culprit.waits = names.wait_reason(goroutine.wait_reason);
    } else {
      culprit.place = {};
      culprit.waits = goroutine.counters ? status_name(goroutine.counters->status) : "not waiting";
    }
    auto& group = groups[{culprit.entry, culprit.place.file, culprit.place.line, culprit.waits, culprit.caller.file,
                          culprit.caller.line}];
    group.culprit = std::move(culprit);
    group.goroutines.push_back(id);
  }
  std::vector<Culprit> culprits;
  for (auto& [key, group] : groups) {
    group.culprit.amount = static_cast<double>(group.goroutines.size());
    keep_few(group.culprit, std::move(group.goroutines), [](std::uint64_t) { return 0.0; });
    culprits.push_back(std::move(group.culprit));
  }
  return culprits;
}

std::vector<Culprit> left_culprits(const Rule& rule, const Measurement& now, const Measurement* baseline) {
  const auto of = [&rule](const Measurement& measured) {
    return waiting_culprits(measured, [&](const GoroutineTotals& g) { return measured.amount(rule, g) != 0; });
  };
  auto culprits = of(now);
  if (baseline == nullptr) return culprits;
  std::map<Names, double> before;
  for (const auto& culprit : of(*baseline))
    before[{culprit.entry, culprit.place.function, culprit.caller.function}] += culprit.amount;
  for (auto& culprit : culprits) {
    const auto found = before.find({culprit.entry, culprit.place.function, culprit.caller.function});
    culprit.baseline = found == before.end() ? 0 : found->second;
  }
  return culprits;
}

}  // namespace

std::vector<Culprit> find_culprits(const Rule& rule, const Measurement& now, const Measurement* baseline, double limit) {
  std::vector<Culprit> culprits;
  if (rule.metric == Metric::live_at_exit) {
    culprits = left_culprits(rule, now, baseline);
  } else if (rule.metric == Metric::deadlock) {
    culprits = waiting_culprits(now, [](const GoroutineTotals& g) { return g.live && g.waiting; });
  } else if (rule.metric == Metric::lost_events) {
    return {};
  } else if (is_maximum(rule.metric)) {
    culprits = maximum_culprits(rule, now, baseline, limit);
  } else {
    culprits = sum_culprits(rule, now, baseline);
  }
  // A sum has grown where it has grown: what was there before is not to blame. The order is otherwise that of names.
  const bool by_increase = baseline != nullptr && !is_maximum(rule.metric);
  std::ranges::stable_sort(culprits, std::greater<>(), [&](const Culprit& culprit) {
    return culprit.amount - (by_increase ? culprit.baseline.value_or(0) : 0);
  });
  return culprits;
}

}  // namespace stacktide
