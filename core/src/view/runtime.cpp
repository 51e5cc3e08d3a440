// runtime: what was found, by which descriptor, and what is off or damaged.
#include <fmt/format.h>

#include "view/views.h"

namespace stacktide {
namespace {

// What is too large for a size is a bit pattern.
std::string number(std::int64_t value) {
  constexpr std::int64_t kLargestSize = std::int64_t{1} << 40;
  return value > kLargestSize ? hex(static_cast<std::uint64_t>(value)) : fmt::format("{}", value);
}

std::vector<std::string> maps_lines(const StackMapsInfo& maps) {
  if (maps.size == 0) return {fmt::format("none: all words are scanned (adjust {})", maps.adjust)};
  return {fmt::format("{} at {}, adjust {}", plural(maps.size, "byte"), hex(maps.address), maps.adjust),
          fmt::format("{} by record, {} complete, {}", plural(maps.walks, "walk"), grouped(maps.complete),
                      plural(maps.frames, "frame")),
          fmt::format("words: {} skipped, {} checked, {} scanned; {} that scanning would have changed",
                      grouped(maps.words_skipped), grouped(maps.words_checked), grouped(maps.words_scanned),
                      grouped(maps.lookalikes))};
}

}  // namespace

std::string runtime_text(const Snapshot& snapshot, const Style& style) {
  const auto& runtime = snapshot.runtime;
  Table table;
  table.column("", Align::left);
  table.column("", Align::left);
  const auto list = [&](const char* name, const auto& values) {
    std::string label = name;
    for (const auto& [key, value] : values) {
      table.row({label, fmt::format("{} {}", key, number(value))});
      label.clear();
    }
  };
  const auto lines = [&](const char* name, const std::vector<std::string>& values) {
    std::string label = name;
    for (const auto& value : values) {
      table.row({label, value});
      label.clear();
    }
  };
  table.row({"target", snapshot.target});
  table.row({"runtime", runtime.version.empty() ? "?" : runtime.version});
  table.row({"descriptor", fmt::format("{}, by its {}", hex(runtime.descriptor), runtime.producer)});
  table.row({"ABI", fmt::format("{}.{}", runtime.abi_major, runtime.abi_minor)});
  table.row({"policy", snapshot.scheduler.policy.empty() ? "?" : snapshot.scheduler.policy});
  const auto& counts = snapshot.goroutine_counts;
  table.row({"goroutines", fmt::format("{} read, {} skipped", grouped(counts.read), grouped(counts.skipped))});
  table.row({"events", fmt::format("{} written, {} read, {} lost", grouped(snapshot.event_counts.total),
                                   grouped(snapshot.event_counts.read), grouped(snapshot.event_counts.skipped))});
  if (snapshot.stack_maps) lines("stack maps", maps_lines(*snapshot.stack_maps));
  list("contracts", runtime.contracts);
  list("constants", runtime.constants);
  list("sizes", runtime.type_sizes);
  lines("off", runtime.disabled);
  lines("damage", snapshot.damage);
  return table.render(style);
}

}  // namespace stacktide
