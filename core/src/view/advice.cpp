#include "view/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>

#include "stacktide/abi.h"

namespace stacktide {
namespace {

std::string_view policy_text(std::uint32_t policy) {
#define ENTRY(enumeration, name, number, text) \
  if (std::string_view(#enumeration) == "policy" && policy == (number)) return text;
  STACKTIDE_ENUMS(ENTRY)
#undef ENTRY
  return "";
}

constexpr std::size_t kBar = 40;  // characters of the longest

std::string place_text(const TracePlace& place) {
  if (place.function.empty()) return "?";
  return place.file.empty() ? short_name(place.function)
                            : fmt::format("{} ({})", short_name(place.function), file_line(place.file, place.line));
}

std::string entry_text(const TracePlace& entry) {
  return entry.function.empty() ? "goroutines from before the recording" : place_text(entry);
}

std::string time_text(std::uint64_t nanoseconds) { return duration(static_cast<std::int64_t>(nanoseconds)); }

std::string percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? "0%" : fmt::format("{:.0f}%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

// As the runtime's settings want it: "8K".
std::string setting(std::uint64_t size) {
  constexpr std::uint64_t kMebi = std::uint64_t{1} << 20;
  if (size % kMebi == 0) return fmt::format("{}M", size / kMebi);
  return size % 1024 == 0 ? fmt::format("{}K", size / 1024) : fmt::format("{}", size);
}

std::string indented(const std::string& text, std::string_view by) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size() - 1);
    out += by;
    out += text.substr(at, end + 1 - at);
    at = end + 1;
  }
  return out;
}

std::string histogram_text(const HighWater& high_water, const Style& style) {
  Table table;
  table.column("", Align::right);
  table.column("", Align::right);
  table.column("", Align::left);
  std::uint64_t most = 1;
  for (const auto& bucket : high_water.histogram) most = std::max(most, bucket.goroutines);
  for (const auto& bucket : high_water.histogram) {
    // One that is there is seen.
    const auto length = (bucket.goroutines * kBar + most - 1) / most;
    table.row({"to " + size_text(bucket.upto), grouped(bucket.goroutines), std::string(length, '#')});
  }
  return table.render(style);
}

std::string options_text(const EntryAdvice& advice, const Style& style) {
  Table table;
  for (const auto* header :
       {"start at", "grows saved", "shrinks saved", "bytes saved", "time saved", "memory at most", "reach it anyway"})
    table.column(header, Align::right);
  for (const auto& option : advice.options) {
    table.row({size_text(option.size),
               fmt::format("{} ({})", grouped(option.grows_saved), percent(option.grows_saved, advice.growth.grows)),
               grouped(option.shrinks_saved), grouped(option.bytes_saved), time_text(option.nanoseconds_saved),
               fmt::format("{} x {} = {}", grouped(advice.most_alive), size_text(option.more_each), size_text(option.more)),
               percent(option.reach, advice.goroutines)});
    if (advice.recommended && &option == &advice.options[*advice.recommended]) table.highlight_last();
  }
  return table.render(style);
}

std::string saving_text(const EntryAdvice& advice, const StartOption& option) {
  return fmt::format("saves {} of {} ({} bytes copied, {}) for {} more in each of at most {} alive, {}",
                     percent(option.grows_saved, advice.growth.grows), plural(advice.growth.grows, "growth"),
                     grouped(option.bytes_saved), time_text(option.nanoseconds_saved), size_text(option.more_each),
                     grouped(advice.most_alive), size_text(option.more));
}

std::string entry_block(const EntryAdvice& advice, const std::string& name, const Style& style) {
  const auto& growth = advice.growth;
  const auto& water = advice.high_water;
  const auto each =
      advice.goroutines == 0 ? 0.0 : static_cast<double>(growth.grows) / static_cast<double>(advice.goroutines);
  auto out = bold(name, style) +
             fmt::format(": {}, at most {} alive; {} grows ({:.1f} each), {} shrinks, {} links, {} bytes copied, {}\n",
                         plural(advice.goroutines, "goroutine"), grouped(advice.most_alive), grouped(growth.grows), each,
                         grouped(growth.shrinks), grouped(growth.links), grouped(growth.bytes_copied),
                         time_text(growth.nanoseconds));
  out += fmt::format("  bytes used at most: p50 {}, p90 {}, p99 {}, max {}\n", grouped(water.p50), grouped(water.p90),
                     grouped(water.p99), grouped(water.most));
  out += indented(histogram_text(water, style), "    ");
  if (!advice.options.empty()) out += indented(options_text(advice, style), "  ");
  return out;
}

// Of each size that some entry had better have, what it does as the only setting there is.
std::string settings_text(const Advice& advice) {
  std::map<std::uint64_t, const StartOption*> sizes;
  const auto note = [&](const EntryAdvice& entry) {
    if (!entry.recommended) return;
    const auto size = entry.options[*entry.recommended].size;
    const auto option = std::ranges::find(advice.all.options, size, &StartOption::size);
    if (option != advice.all.options.end()) sizes[size] = &*option;
  };
  for (const auto& entry : advice.entries) note(entry);
  note(advice.all);
  if (sizes.empty()) return "";
  std::string out = "the runtime knows one first size for all goroutines, and none for those of one function:\n";
  for (const auto& [size, option] : sizes)
    out += fmt::format("  STACKTIDE_MINSTACK={} {}\n", setting(size), saving_text(advice.all, *option));
  return out;
}

template <class Rows>
std::span<const typename Rows::value_type> first(const Rows& rows, std::size_t limit) {
  return std::span(rows).first(limit == 0 ? rows.size() : std::min(limit, rows.size()));
}

std::string more_text(std::size_t all, std::size_t shown) {
  return all == shown ? "" : fmt::format("{} more: --limit 0\n", grouped(all - shown));
}

}  // namespace

std::string recommendation_text(const EntryAdvice& advice) {
  const auto name =
      advice.entry.function.empty() ? std::string("those") : fmt::format("`{}`", short_name(advice.entry.function));
  if (!advice.recommended) return fmt::format("leave the first size of {}: {}", name, advice.reason);
  const auto& option = advice.options[*advice.recommended];
  return fmt::format("start goroutines of {} at {}: {}", name, size_text(option.size), saving_text(advice, option));
}

std::string split_cure(std::uint32_t policy, std::uint64_t segment_size) {
  const auto larger = fmt::format("a larger segment, STACKTIDE_SEGMENT={}", setting(segment_size * 2));
  if (policy_text(policy) == "segmented")
    return "STACKTIDE_POLICY=auto, with stacktide_goroutines(TARGET MOVABLE), copies the stack once instead; or " + larger;
  return "the caller's frames are pinned (`stacktide stack` names by what): make its target MOVABLE, "
         "stacktide_goroutines(TARGET MOVABLE), and the stack is copied once instead; or " +
         larger;
}

std::string thrash_cure(const CallAdvice& call) {
  return fmt::format("STACKTIDE_SHRINK=off keeps stacks large; or start at what is needed, STACKTIDE_MINSTACK={}",
                     setting(call.growth.largest));
}

std::string advice_text(const AdviceModel& model, const Style& style) {
  const auto& advice = model.advice;
  std::string out;
  const auto still = static_cast<std::size_t>(std::ranges::count_if(
      advice.entries, [](const EntryAdvice& entry) { return entry.growth.grows + entry.growth.links == 0; }));
  std::vector<const EntryAdvice*> moving;
  for (const auto& entry : advice.entries) {
    if (entry.growth.grows + entry.growth.links != 0) moving.push_back(&entry);
  }
  const auto shown = first(moving, model.limit);
  for (const auto* entry : shown)
    out += entry_block(*entry, entry_text(entry->entry), style) + fmt::format("  -> {}\n\n", recommendation_text(*entry));
  out += more_text(moving.size(), shown.size());
  if (still != 0)
    out += fmt::format("{} entry function{} whose goroutines never grew\n", grouped(still), still == 1 ? "" : "s");
  if (const auto settings = settings_text(advice); !settings.empty()) out += settings;
  for (const auto& call : first(advice.splits, model.limit))
    // A segment that was kept is linked again without a clock being read: the time would be that of the others alone.
    out +=
        fmt::format("hot split: {} called from {}: {} of {} linked a kept segment again\n  -> {}\n",
                    place_text(call.function), place_text(call.caller), grouped(call.growth.hot_splits),
                    plural(call.growth.links, "link"), split_cure(model.info.header.policy, model.info.header.segment_size));
  out += more_text(advice.splits.size(), first(advice.splits, model.limit).size());
  for (const auto& call : first(advice.thrashing, model.limit))
    out += fmt::format("thrash: {} called from {} grew {} again after a shrink; {} bytes copied, {}\n  -> {}\n",
                       place_text(call.function), place_text(call.caller), plural(call.growth.thrash, "time"),
                       grouped(call.growth.bytes_copied), time_text(call.growth.nanoseconds), thrash_cure(call));
  out += more_text(advice.thrashing.size(), first(advice.thrashing, model.limit).size());
  return out.empty() ? "nothing grew\n" : out;
}

}  // namespace stacktide
