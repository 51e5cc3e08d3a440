// The in-memory history: rings of stack events.
#include <fmt/format.h>

#include <algorithm>

#include "walk/bulk.h"
#include "walk/parts.h"

namespace stacktide {
namespace {

void walk_ring(WalkContext& context, std::uint64_t number, Address address, const Ring& ring, const EnumTexts* kinds) {
  auto& snapshot = context.snapshot;
  if (ring.count == 0) return;
  if (!is_believable(ring)) {
    snapshot.damage.push_back(
        fmt::format("event ring {} of {} records at {:#x} is not believable", number, ring.capacity, ring.records));
    return;
  }
  auto& counts = snapshot.event_counts;
  if (snapshot.events.size() + std::min(ring.count, ring.capacity) > kMaxEvents) {
    snapshot.damage.push_back(fmt::format("event ring {} is left out: more than {} events", number, kMaxEvents));
    counts.total += ring.count;
    counts.skipped += ring.count;
    return;
  }
  const auto size = context.layout.event.record_size;
  const auto first = first_readable(ring);
  const auto before = snapshot.events.size();
  std::vector<std::uint64_t> numbers;
  BulkResult result;
  const auto piece = [&](std::uint64_t begin, std::uint64_t end) {
    const auto slot = begin % ring.capacity;
    const auto part =
        for_each_record(context.target.memory(), ring.records + slot * size, end - begin, size, size, false,
                        [&](std::uint64_t index, std::span<const std::byte> bytes, std::span<const std::byte>) {
                          numbers.push_back(begin + index);
                          auto event = to_event(context.layout, kinds, Record(bytes));
                          event.ring = number;
                          event.number = begin + index;
                          snapshot.events.push_back(std::move(event));
                        });
    if (part.absent != 0 && result.absent == 0) result.first_absent = part.first_absent;
    result.read += part.read;
    result.absent += part.absent;
  };
  const auto turn = (first / ring.capacity + 1) * ring.capacity;  // where the slots start over
  piece(first, std::min(turn, ring.count));
  if (turn < ring.count) piece(turn, ring.count);

  // A process that was not stopped may have overwritten the oldest of these meanwhile.
  std::uint64_t overwritten = 0;
  std::vector<std::byte> bytes(context.layout.event_ring.record_size);
  if (context.target.kind() == TargetKind::process && context.target.memory().read(address, bytes)) {
    auto now = to_ring(context.layout, Record(bytes));
    now.capacity = ring.capacity;
    const auto still = first_readable(now);
    overwritten = static_cast<std::uint64_t>(std::ranges::lower_bound(numbers, still) - numbers.begin());
    const auto begin = snapshot.events.begin() + static_cast<std::ptrdiff_t>(before);
    snapshot.events.erase(begin, begin + static_cast<std::ptrdiff_t>(overwritten));
  }
  counts.total += ring.count;
  counts.read += result.read - overwritten;
  counts.skipped += first + result.absent + overwritten;
  context.note_absent("events", result.absent, ring.count - first, result.first_absent);
}

}  // namespace

void walk_events(WalkContext& context) {
  const auto* root = context.descriptor.root("event_rings");
  if (root->address == 0) return;
  const auto rings = std::min(root->count, kMaxRings);
  if (rings < root->count)
    context.snapshot.damage.push_back(fmt::format("{} event rings: only {} are looked at", root->count, rings));
  const auto* kinds = enum_texts(context.descriptor, "event", "kind");
  const auto result = for_each_record(
      context.target.memory(), root->address, rings, root->stride, context.layout.event_ring.record_size, false,
      [&](std::uint64_t index, std::span<const std::byte> bytes, std::span<const std::byte>) {
        walk_ring(context, index, root->address + index * root->stride, to_ring(context.layout, Record(bytes)), kinds);
      });
  context.note_absent("event rings", result.absent, rings, result.first_absent);
  std::ranges::stable_sort(context.snapshot.events, {}, &StackEvent::time);
}

Result<StackEvent> read_event(Memory& memory, const Descriptor& descriptor, const Layout& layout, Address address) {
  if (!layout.events) return fail(ErrorCode::unsupported_contract, "stack events are off for this runtime");
  std::vector<std::byte> bytes(layout.event.record_size);
  if (auto done = memory.read(address, bytes); !done) return std::unexpected(done.error());
  return to_event(layout, enum_texts(descriptor, "event", "kind"), Record(bytes));
}

}  // namespace stacktide
