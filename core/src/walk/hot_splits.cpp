// Boundaries between segments: the runtime's table of counters, as it stands.
#include <fmt/format.h>

#include <algorithm>

#include "walk/bulk.h"
#include "walk/parts.h"

namespace stacktide {

void walk_hot_splits(WalkContext& context) {
  const auto* root = context.descriptor.root("hot_splits");
  if (root->address == 0) return;
  const auto& fields = context.layout.hot_split;
  auto& splits = context.snapshot.hot_splits;
  const auto records = std::min(root->count, kMaxHotSplits);
  if (records < root->count)
    context.snapshot.damage.push_back(fmt::format("{} boundaries: only {} are looked at", root->count, records));
  const auto result =
      for_each_record(context.target.memory(), root->address, records, root->stride, fields.record_size, false,
                      [&](std::uint64_t, std::span<const std::byte> bytes, std::span<const std::byte>) {
                        const Record record(bytes);
                        HotSplit split;
                        split.pc = record.number(fields.pc);
                        split.caller = record.number(fields.caller);
                        split.count = record.number(fields.count);
                        split.allocated = record.number(fields.allocated);
                        split.bytes = record.number(fields.bytes);
                        if (split.count != 0) splits.push_back(std::move(split));
                      });
  context.snapshot.hot_split_counts = {splits.size() + result.absent, splits.size(), result.absent};
  context.note_absent("boundaries", result.absent, records, result.first_absent);
  std::ranges::stable_sort(splits, std::ranges::greater{}, &HotSplit::count);
}

}  // namespace stacktide
