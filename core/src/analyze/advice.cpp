#include "analyze/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <tuple>
#include <unordered_map>

namespace stacktide {
namespace {

constexpr std::uint64_t kSmallestBucket = 256;  // bytes
constexpr std::uint64_t kLargestBucket = std::uint64_t{1} << 62;

struct Moves {
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  std::uint64_t nanoseconds = 0;
};

// What is summed up of an entry function.
struct Sums {
  std::uint64_t goroutines = 0;
  std::uint64_t alive = 0;
  std::uint64_t most_alive = 0;
  Growth growth;
  std::vector<std::uint64_t> high_water;
  std::map<std::uint64_t, Moves> grows;  // of first segments, by new size
  std::map<std::uint64_t, Moves> shrinks;
  std::map<std::uint64_t, std::uint64_t> reached;  // goroutines by the largest size of their first segment

  void spawned() { most_alive = std::max(most_alive, ++alive); }
  void exited() { alive -= alive == 0 ? 0 : 1; }
};

struct State {
  std::size_t entry = 0;
  std::uint64_t depth = 0;  // segments above the first
  std::uint64_t largest = 0;
};

using PlaceKey = std::tuple<std::string, std::string, std::uint32_t>;
PlaceKey key_of(const TracePlace& place) { return {place.function, place.file, place.line}; }

void add(std::map<std::uint64_t, Moves>& moves, const stacktide_trace_stack& record) {
  auto& sum = moves[record.new_size];
  ++sum.count;
  sum.bytes += record.used;
  sum.nanoseconds += record.duration;
}

class Adviser {
 public:
  Adviser(const Recording& recording, TraceNames& names) : recording_(recording), names_(names) {}

  Advice run(const std::function<bool(const std::string&)>& wanted) {
    recording_.visit([&](const TraceRecord& record) { totals_.add(*record.head); });
    enter_goroutines();
    recording_.visit([&](const TraceRecord& record) { look(record); });
    for (const auto& [id, state] : states_) {
      for (auto* sums : {&sums_[state.entry], &all_}) ++sums->reached[state.largest];
    }
    Advice advice;
    advice.first_size = first_size();
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      if (wanted(places_[i].function)) advice.entries.push_back(advice_of(sums_[i], places_[i]));
    }
    std::ranges::sort(advice.entries, [](const EntryAdvice& a, const EntryAdvice& b) {
      const auto rank = [](const EntryAdvice& e) {
        return std::tuple(e.growth.nanoseconds, e.growth.bytes_copied, e.goroutines);
      };
      return rank(a) != rank(b) ? rank(a) > rank(b) : key_of(a.entry) < key_of(b.entry);
    });
    advice.all = advice_of(all_, {});
    advice.splits = calls([](const Growth& growth) { return growth.hot_splits; });
    advice.thrashing = calls([](const Growth& growth) { return growth.thrash; });
    return advice;
  }

 private:
  std::uint64_t first_size() const { return recording_.info().header.min_stack; }

  // Which entry function each goroutine has, and what the totals know of it.
  void enter_goroutines() {
    std::map<PlaceKey, std::size_t> numbers;
    std::map<std::uint64_t, std::size_t> by_address;
    for (const auto& [id, g] : totals_.goroutines()) {
      const auto [known, fresh] = by_address.try_emplace(g.entry);
      if (fresh) {
        auto place = names_.entry(g.entry);
        known->second = numbers.try_emplace(key_of(place), sums_.size()).first->second;
        if (known->second == sums_.size()) {
          sums_.emplace_back();
          places_.push_back(std::move(place));
        }
      }
      states_[id] = {known->second, 0, std::max(g.first_size, first_size())};
      for (auto* sums : {&sums_[known->second], &all_}) {
        ++sums->goroutines;
        sums->growth.add(g.growth);
        sums->high_water.push_back(g.high_water);
        if (!g.spawned) sums->spawned();  // was there before
      }
    }
  }

  void look(const TraceRecord& record) {
    const auto found = states_.find(record.head->goroutine);
    if (found == states_.end()) return;
    auto& state = found->second;
    for (auto* sums : {&sums_[state.entry], &all_}) {
      switch (record.kind()) {
        case STACKTIDE_TRACE_SPAWN:
          sums->spawned();
          break;
        case STACKTIDE_TRACE_EXIT:
          sums->exited();
          break;
        case STACKTIDE_TRACE_GROW:
          if (state.depth == 0) add(sums->grows, record.as<stacktide_trace_stack>());
          break;
        case STACKTIDE_TRACE_SHRINK:
          if (state.depth == 0) add(sums->shrinks, record.as<stacktide_trace_stack>());
          break;
        default:
          break;
      }
    }
    if (record.kind() == STACKTIDE_TRACE_LINK) ++state.depth;
    if (record.kind() == STACKTIDE_TRACE_RELEASE && state.depth != 0) --state.depth;
    if (record.kind() == STACKTIDE_TRACE_GROW && state.depth == 0)
      state.largest = std::max<std::uint64_t>(state.largest, record.as<stacktide_trace_stack>().new_size);
  }

  EntryAdvice advice_of(Sums& sums, TracePlace place) const {
    EntryAdvice advice;
    advice.entry = std::move(place);
    advice.goroutines = sums.goroutines;
    advice.most_alive = sums.most_alive;
    advice.growth = sums.growth;
    advice.high_water = distribution(sums.high_water);
    const auto first = first_size();
    if (!sums.grows.empty() && first != 0) {
      const auto largest = sums.grows.rbegin()->first;
      // Each doubles, so that a size from a broken file ends the loop as well.
      for (auto size = first * 2; size > first && size <= largest; size *= 2) advice.options.push_back(option(sums, size));
    }
    recommend(advice);
    return advice;
  }

  StartOption option(const Sums& sums, std::uint64_t size) const {
    StartOption result;
    result.size = size;
    const auto save = [&](const Moves& moves) {
      result.bytes_saved += moves.bytes;
      result.nanoseconds_saved += moves.nanoseconds;
    };
    for (const auto& [new_size, moves] : sums.grows) {
      if (new_size > size) break;
      result.grows_saved += moves.count;
      save(moves);
    }
    for (const auto& [new_size, moves] : sums.shrinks) {
      if (new_size >= size) break;
      result.shrinks_saved += moves.count;
      save(moves);
    }
    for (auto at = sums.reached.lower_bound(size); at != sums.reached.end(); ++at) result.reach += at->second;
    result.more_each = size - first_size();
    result.more = result.more_each * sums.most_alive;
    return result;
  }

  // The largest size that at least half of the goroutines reach anyway, if that saves enough: then at most half of the
  // memory is waste. A few deep ones do not make all others start large.
  static void recommend(EntryAdvice& advice) {
    if (advice.options.empty()) {
      advice.reason = advice.growth.links == 0 ? "its stacks never grew"
                                               : "its stacks are linked and not copied, which is not predicted";
      return;
    }
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < advice.options.size(); ++i) {
      if (advice.options[i].reach * 2 >= advice.goroutines) best = i;
    }
    if (!best) {
      advice.reason = fmt::format("only {} of {} goroutines grow", advice.options.front().reach, advice.goroutines);
    } else if (advice.options[*best].grows_saved < kWorthGrows) {
      advice.reason = fmt::format("it would save {} growths, fewer than {}", advice.options[*best].grows_saved, kWorthGrows);
    } else {
      advice.recommended = best;
    }
  }

  static HighWater distribution(std::vector<std::uint64_t>& values) {
    HighWater result;
    if (values.empty()) return result;
    std::ranges::sort(values);
    // The smallest value that so many percent do not exceed.
    const auto percentile = [&](std::size_t percent) { return values[(values.size() * percent + 99) / 100 - 1]; };
    result.p50 = percentile(50);
    result.p90 = percentile(90);
    result.p99 = percentile(99);
    result.most = values.back();
    const auto bucket = [](std::uint64_t value) {
      return std::bit_ceil(std::clamp(value, kSmallestBucket, kLargestBucket));
    };
    for (auto upto = bucket(values.front()); upto <= bucket(values.back()); upto *= 2) result.histogram.push_back({upto, 0});
    for (const auto value : values)
      ++result
            .histogram[static_cast<std::size_t>(std::countr_zero(bucket(value)) -
                                                std::countr_zero(result.histogram.front().upto))]
            .goroutines;
    return result;
  }

  // Chains that end in the same call, with what `count` counts above 0.
  template <class Count>
  std::vector<CallAdvice> calls(Count count) {
    std::map<std::pair<PlaceKey, PlaceKey>, CallAdvice> found;
    for (const auto& [chain, growth] : totals_.chains()) {
      if (count(growth) == 0) continue;
      auto function = names_.needed_room(chain);
      auto caller = names_.caller(chain);
      auto& call = found[{key_of(function), key_of(caller)}];
      call.function = std::move(function);
      call.caller = std::move(caller);
      call.growth.add(growth);
    }
    std::vector<CallAdvice> result;
    for (auto& [key, call] : found) result.push_back(std::move(call));
    std::ranges::stable_sort(result, std::ranges::greater{}, [&](const CallAdvice& call) { return count(call.growth); });
    return result;
  }

  const Recording& recording_;
  TraceNames& names_;
  TraceTotals totals_;
  std::unordered_map<std::uint64_t, State> states_;
  std::vector<Sums> sums_;
  std::vector<TracePlace> places_;
  Sums all_;
};

}  // namespace

Advice advise(const Recording& recording, TraceNames& names, const std::function<bool(const std::string&)>& wanted) {
  return Adviser(recording, names).run(wanted);
}

}  // namespace stacktide
