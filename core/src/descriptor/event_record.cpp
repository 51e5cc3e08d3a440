#include "descriptor/event_record.h"

#include <bit>

namespace stacktide {

Ring to_ring(const Layout& layout, const Record& record) {
  const auto& fields = layout.event_ring;
  return {record.number(fields.records), record.number(fields.capacity), record.number(fields.count)};
}

bool is_believable(const Ring& ring) {
  return ring.records != 0 && std::has_single_bit(ring.capacity) && ring.capacity <= kMaxRingCapacity;
}

std::uint64_t first_readable(const Ring& ring) { return ring.count >= ring.capacity ? ring.count - ring.capacity + 1 : 0; }

StackEvent to_event(const Layout& layout, const EnumTexts* kinds, const Record& record) {
  const auto& fields = layout.event;
  StackEvent event;
  event.time = record.signed_number(fields.time);
  event.goroutine = record.number(fields.goroutine);
  event.kind = enum_text(kinds, record.signed_number(fields.kind));
  event.old_lo = record.number(fields.old_lo);
  event.new_lo = record.number(fields.new_lo);
  event.old_size = record.number(fields.old_size);
  event.new_size = record.number(fields.new_size);
  event.used = record.number(fields.used);
  event.adjusted = record.number(fields.adjusted);
  event.scanned = record.number(fields.scanned);
  event.duration = record.number(fields.duration);
  event.pc = record.number(fields.pc);
  event.caller = record.number(fields.caller);
  return event;
}

}  // namespace stacktide
