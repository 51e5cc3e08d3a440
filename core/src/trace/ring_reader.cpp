#include "trace/ring_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "descriptor/event_record.h"

namespace stacktide {
namespace {

constexpr std::uint64_t kMaxRingTable = 16U << 20;  // bytes
constexpr std::uint64_t kMaxRead = 4U << 20;        // bytes at once

std::vector<Ring> read_rings(Memory& memory, const Descriptor& descriptor, const Layout& layout, NewEvents& out) {
  std::vector<Ring> rings;
  const auto* root = descriptor.root("event_rings");
  const auto size = layout.event_ring.record_size;
  if (root == nullptr || root->address == 0 || root->count == 0 || root->stride < size) return rings;
  const auto count = std::min({root->count, kMaxRings, kMaxRingTable / root->stride});
  if (count < root->count) out.problems.push_back(fmt::format("{} event rings: only {} are looked at", root->count, count));
  std::vector<std::byte> bytes(count * root->stride);
  const auto got = memory.read_up_to(root->address, bytes);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (i * root->stride + size > got) {
      out.problems.push_back(
          fmt::format("{} of {} event rings are not there, from {:#x}", count - i, count, root->address + got));
      break;
    }
    rings.push_back(to_ring(layout, Record(std::span<const std::byte>(bytes).subspan(i * root->stride, size))));
  }
  return rings;
}

// Where a trace begins that found these rings with events in them.
std::vector<std::uint64_t> first_cursors(const std::vector<Ring>& rings) {
  const bool watched =
      std::ranges::all_of(rings, [](const Ring& ring) { return !is_believable(ring) || ring.count <= ring.capacity / 2; });
  std::vector<std::uint64_t> cursors;
  for (const auto& ring : rings) {
    const auto half = is_believable(ring) ? std::max<std::uint64_t>(1, ring.capacity / 2) : 1;
    cursors.push_back(watched || ring.count == 0 ? 0 : (ring.count - 1) / half * half);
  }
  return cursors;
}

// Each ring's events are in order; events are too big to be moved about more than once.
void sort_by_time(std::vector<StackEvent>& events) {
  if (std::ranges::is_sorted(events, {}, &StackEvent::time)) return;
  std::vector<std::pair<std::int64_t, std::size_t>> order;
  order.reserve(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) order.emplace_back(events[i].time, i);
  std::ranges::sort(order);
  std::vector<StackEvent> sorted;
  sorted.reserve(events.size());
  for (const auto& [time, index] : order) sorted.push_back(std::move(events[index]));
  events = std::move(sorted);
}

class RingRead {
 public:
  RingRead(Memory& memory, const Layout& layout, const EnumTexts* kinds, NewEvents& out)
      : memory_(memory), layout_(layout), kinds_(kinds), out_(out) {}

  // The events [first, last) of a ring, as far as they are there.
  void read(std::uint64_t number, const Ring& ring, std::uint64_t first, std::uint64_t last) {
    const auto size = layout_.event.record_size;
    const auto most = std::max<std::uint64_t>(1, kMaxRead / size);
    while (first < last) {
      const auto slot = first % ring.capacity;
      const auto count = std::min({last - first, ring.capacity - slot, most});
      bytes_.resize(count * size);
      const auto whole = std::min<std::uint64_t>(memory_.read_up_to(ring.records + slot * size, bytes_) / size, count);
      out_.events.reserve(out_.events.size() + whole);
      for (std::uint64_t i = 0; i < whole; ++i) {
        auto event = to_event(layout_, kinds_, Record(std::span<const std::byte>(bytes_).subspan(i * size, size)));
        event.ring = number;
        event.number = first + i;
        out_.events.push_back(std::move(event));
      }
      first += count;
      if (whole == count) continue;
      out_.lost += count - whole;
      out_.problems.push_back(fmt::format("{} events of ring {} are not there, from {:#x}", count - whole, number,
                                          ring.records + (slot + whole) * size));
    }
  }

 private:
  Memory& memory_;
  const Layout& layout_;
  const EnumTexts* kinds_;
  NewEvents& out_;
  std::vector<std::byte> bytes_;
};

}  // namespace

void RingReader::skip(Memory& memory, const Descriptor& descriptor, const Layout& layout) {
  NewEvents unused;
  const auto rings = read_rings(memory, descriptor, layout, unused);
  cursors_.reset();
  if (rings.empty()) return;
  cursors_.emplace();
  for (const auto& ring : rings) cursors_->push_back(ring.count);
}

NewEvents RingReader::read(Memory& memory, const Descriptor& descriptor, const Layout& layout) {
  NewEvents out;
  const auto rings = read_rings(memory, descriptor, layout, out);
  if (rings.empty()) return out;
  if (!cursors_) cursors_ = first_cursors(rings);
  cursors_->resize(std::max(cursors_->size(), rings.size()));
  RingRead reader(memory, layout, enum_texts(descriptor, "event", "kind"), out);
  for (std::size_t i = 0; i < rings.size(); ++i) {
    const auto& ring = rings[i];
    auto& cursor = (*cursors_)[i];
    if (ring.count == cursor) continue;
    if (!is_believable(ring)) {
      out.problems.push_back(
          fmt::format("event ring {} of {} records at {:#x} is not believable", i, ring.capacity, ring.records));
      if (ring.count > cursor) out.lost += ring.count - cursor;
      cursor = ring.count;
      continue;
    }
    if (ring.count < cursor) cursor = 0;  // the rings of another program: the process has called exec()
    const auto room = kMaxBatch - std::min<std::uint64_t>(kMaxBatch, out.events.size());
    auto first = std::max(cursor, first_readable(ring));
    if (ring.count - first > room) first = ring.count - room;
    out.lost += first - cursor;
    reader.read(i, ring, first, ring.count);
    cursor = ring.count;
  }
  std::erase_if(out.events, [this](const StackEvent& event) { return event.time < not_before_; });
  sort_by_time(out.events);
  return out;
}

}  // namespace stacktide
