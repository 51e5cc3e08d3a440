#include "analyze/trace_selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace stacktide {
namespace {

// By kind.
constexpr std::array<std::string_view, 11> kNames = {"",     "grow", "shrink", "link",  "release", "spawn",
                                                     "exit", "live", "park",   "ready", "label"};

bool is_stack_event(std::uint8_t kind) { return kind >= STACKTIDE_TRACE_GROW && kind <= STACKTIDE_TRACE_RELEASE; }

}  // namespace

std::string_view kind_name(std::uint8_t kind) { return kind < kNames.size() ? kNames[kind] : ""; }

Result<void> TraceSelection::set_kinds(std::string_view text) {
  kinds = 0;
  while (!text.empty()) {
    const auto name = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), name.size() + 1));
    const auto found = std::ranges::find(kNames.begin() + 1, kNames.end(), name);
    if (found == kNames.end()) {
      return fail(ErrorCode::usage, fmt::format("'{}' is no kind of record; there are {}", name,
                                                fmt::join(kNames.begin() + 1, kNames.end(), ", ")));
    }
    kinds |= std::uint32_t{1} << static_cast<unsigned>(found - kNames.begin());
  }
  return {};
}

TraceContext TraceSelection::follow(const TraceRecord& record) {
  const auto kind = record.kind();
  const auto id = record.head->goroutine;
  auto& g = goroutines_[id];
  if (kind == STACKTIDE_TRACE_SPAWN) {
    const auto& spawn = record.as<stacktide_trace_spawn>();
    g.entry = spawn.entry;
    g.segments.start(spawn.stack_size);
  }
  TraceContext context{g.entry, record.head->number, 0};
  if (is_stack_event(kind)) {
    g.segments.see(record.as<stacktide_trace_stack>());
    if (kind == STACKTIDE_TRACE_GROW || kind == STACKTIDE_TRACE_LINK) g.chain = record.head->number;
    context.chain = g.chain;
  }
  context.size = g.segments.now;
  if (kind == STACKTIDE_TRACE_EXIT) goroutines_.erase(id);
  return context;
}

bool TraceSelection::matches(const TraceRecord& record, const TraceContext& context, TraceNames& names) {
  const auto kind = record.kind();
  if ((kinds >> kind & 1U) == 0) return false;
  if (record.head->time < from || record.head->time > to) return false;
  if (goroutine && record.head->goroutine != *goroutine) return false;
  if (entry) {
    const auto [found, fresh] = entries_.try_emplace(context.entry);
    if (fresh) found->second = entry->matches(names.entry(context.entry).function);
    if (!found->second) return false;
  }
  if (function) {
    const bool waits = kind == STACKTIDE_TRACE_PARK || kind == STACKTIDE_TRACE_LIVE;
    if (!waits && !is_stack_event(kind)) return false;
    const auto [found, fresh] = functions_.try_emplace(std::uint64_t{context.chain} << 1 | (waits ? 1 : 0));
    if (fresh) {
      const auto place = waits ? names.user_place(context.chain) : names.needed_room(context.chain);
      found->second = function->matches(place.function);
    }
    if (!found->second) return false;
  }
  return true;
}

}  // namespace stacktide
