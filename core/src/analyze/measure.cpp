#include "analyze/measure.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/printable.h"

namespace stacktide {
namespace {

// Go's numbers of statuses (abi.h).
constexpr std::uint16_t kRunnable = 1;
constexpr std::uint16_t kRunning = 2;

bool is_deadlock(const std::string& end) { return end.find("deadlock") != std::string::npos; }

}  // namespace

bool is_maximum(Metric metric) {
  return metric == Metric::largest_stack || metric == Metric::high_water || metric == Metric::growths_per_goroutine ||
         metric == Metric::longest_growth;
}

Measurement::Measurement(TraceSource& source, const RuleSet& rules) : source_(source), rules_(rules) {
  source_.visit([&](const stacktide_trace_head& record) {
    totals_.add(record);
    find_functions(record);
  });
  for (const auto& rule : rules_.rules) {
    if (!rule.function || info_of(rule.metric).part != TracePart::growth) continue;
    auto& totals = filtered_[rule.function->text];
    if (totals) continue;
    TraceFilter filter;
    filter.chain = [this, &rule](std::uint32_t chain) { return takes_chain(rule, chain); };
    totals = std::make_unique<TraceTotals>(std::move(filter));
  }
  if (filtered_.empty()) return;
  source_.visit([&](const stacktide_trace_head& record) {
    for (auto& [text, totals] : filtered_) totals->add(record);
  });
}

void Measurement::find_functions(const stacktide_trace_head& record) {
  switch (record.kind) {
    case STACKTIDE_TRACE_GROW:
    case STACKTIDE_TRACE_LINK:
    case STACKTIDE_TRACE_PARK:
    case STACKTIDE_TRACE_SPAWN:
    case STACKTIDE_TRACE_LIVE:
      if (record.number != 0) chains_.emplace(record.number, true);
  }
}

bool Measurement::takes_chain(const Rule& rule, std::uint32_t chain) const {
  if (!rule.function) return true;
  const auto [known, is_new] = taken_[rule.function->text].emplace(chain, false);
  if (is_new) known->second = rule.function->pattern->matches(source_.names().needed_room(chain).function);
  return known->second;
}

bool Measurement::takes(const Rule& rule, const GoroutineTotals& goroutine) const {
  if (rule.entry && !rule.entry->pattern->matches(entry_of(goroutine).function)) return false;
  return !rule.label || rule.label->pattern->matches(goroutine.label);
}

const TracePlace& Measurement::entry_of(const GoroutineTotals& goroutine) const {
  const auto [known, is_new] = entries_.try_emplace(goroutine.entry);
  if (is_new && goroutine.entry != 0) known->second = source_.names().entry(goroutine.entry);
  return known->second;
}

const TracePlace& Measurement::waits_at(std::uint32_t chain) const {
  const auto [known, is_new] = waits_.try_emplace(chain);
  if (is_new && chain != 0) known->second = source_.names().user_place(chain);
  return known->second;
}

bool Measurement::is_left(const GoroutineTotals& goroutine) const {
  if (goroutine.main) return false;
  const bool tells = !source_.facts().end.empty() || totals_.records(STACKTIDE_TRACE_LIVE) != 0;
  if (!tells) return !goroutine.exited;
  // One that was running, or about to, has been cut off by the program's end: it waits for nothing.
  const auto status = goroutine.counters ? goroutine.counters->status : 0;
  return goroutine.live && status != kRunnable && status != kRunning;
}

double Measurement::amount(Metric metric, const Growth& growth) const {
  const auto of = [](std::uint64_t value) { return static_cast<double>(value); };
  switch (metric) {
    case Metric::largest_stack:
      return of(growth.largest);
    case Metric::growths_per_goroutine:
    case Metric::growths:
      return of(growth.grows + growth.links);
    case Metric::bytes_copied:
      return of(growth.bytes_copied);
    case Metric::growth_time_share: {
      const auto run = source_.facts().last - source_.facts().first;
      return run <= 0 ? 0 : of(growth.nanoseconds) * 100 / static_cast<double>(run);
    }
    case Metric::longest_growth:
      return of(growth.longest);
    case Metric::hot_splits:
      return of(growth.hot_splits);
    case Metric::thrash:
      return of(growth.thrash);
    default:
      return 0;
  }
}

double Measurement::amount(const Rule& rule, const GoroutineTotals& goroutine) const {
  if (!takes(rule, goroutine)) return 0;
  switch (rule.metric) {
    case Metric::high_water:
      return static_cast<double>(goroutine.high_water);
    case Metric::live_at_exit:
      if (!is_left(goroutine)) return 0;
      return !rule.function || rule.function->pattern->matches(waits_at(goroutine.parked_at).function) ? 1 : 0;
    default:
      break;
  }
  const auto filtered = rule.function ? filtered_.find(rule.function->text) : filtered_.end();
  if (filtered == filtered_.end()) return amount(rule.metric, goroutine.growth);
  const auto& own = filtered->second->goroutines();
  const auto found = own.find(goroutine.id);
  return found == own.end() ? 0 : amount(rule.metric, found->second.growth);
}

double Measurement::value(const Rule& rule) const {
  if (rule.metric == Metric::deadlock) return is_deadlock(source_.facts().end) ? 1 : 0;
  if (rule.metric == Metric::lost_events) return static_cast<double>(source_.facts().lost);
  double value = 0;
  for (const auto& [id, goroutine] : totals_.goroutines()) {
    const auto part = amount(rule, goroutine);
    value = is_maximum(rule.metric) ? std::max(value, part) : value + part;
  }
  return value;
}

bool Measurement::knows_function(const Pattern& pattern) const {
  auto& names = source_.names();
  for (const auto& [chain, used] : chains_) {
    // The names may take the addresses' memory away when they are asked for one.
    const auto pcs = names.chain(chain);
    const std::vector<std::uint64_t> copy(pcs.begin(), pcs.end());
    for (const auto pc : copy) {
      if (std::ranges::any_of(names.levels(pc, false), [&](const auto& level) { return pattern.matches(level.function); }))
        return true;
    }
  }
  return std::ranges::any_of(totals_.goroutines(),
                             [&](const auto& each) { return pattern.matches(entry_of(each.second).function); });
}

std::vector<std::pair<RulePosition, std::string>> Measurement::unmatched_of(const Rule& rule) const {
  std::vector<std::pair<RulePosition, std::string>> errors;
  const auto& goroutines = totals_.goroutines();
  const auto matches_one = [&](const RuleFilter& filter, auto&& text_of) {
    return std::ranges::any_of(goroutines, [&](const auto& each) { return filter.pattern->matches(text_of(each.second)); });
  };
  if (rule.entry && !matches_one(*rule.entry, [&](const auto& g) -> const auto& { return entry_of(g).function; }))
    errors.emplace_back(rule.entry->at,
                        fmt::format("no goroutine's entry function matches '{}'", printable(rule.entry->text)));
  if (rule.label && !matches_one(*rule.label, [](const auto& g) -> const auto& { return g.label; }))
    errors.emplace_back(rule.label->at, fmt::format("no goroutine's label matches '{}'", printable(rule.label->text)));
  if (errors.empty() && rule.entry && rule.label &&
      std::ranges::none_of(goroutines, [&](const auto& each) { return takes(rule, each.second); }))
    errors.emplace_back(rule.label->at, "no goroutine matches both entry and label");
  if (rule.function && !knows_function(*rule.function->pattern))
    errors.emplace_back(rule.function->at, fmt::format("no function matches '{}'", printable(rule.function->text)));
  return errors;
}

std::vector<std::string> Measurement::unmatched(const Rule& rule) const {
  std::vector<std::string> lines;
  if (rule.optional) return lines;
  for (const auto& [at, text] : unmatched_of(rule)) {
    lines.push_back(at_position(rules_, at,
                                fmt::format("rule '{}' matches nothing: {} in {} (optional = true allows that)", rule.name,
                                            text, source_.facts().name)));
  }
  return lines;
}

}  // namespace stacktide
