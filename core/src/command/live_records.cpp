#include "command/live_records.h"

#include <fmt/format.h>

#include <algorithm>

namespace stacktide {
namespace {

std::uint8_t kind_number(const std::string& kind) {
  if (kind == "grow") return STACKTIDE_TRACE_GROW;
  if (kind == "shrink") return STACKTIDE_TRACE_SHRINK;
  if (kind == "link") return STACKTIDE_TRACE_LINK;
  if (kind == "release") return STACKTIDE_TRACE_RELEASE;
  return 0;
}

std::uint32_t narrow(std::uint64_t value) { return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX)); }

}  // namespace

std::uint32_t LiveRecords::chain_of(const StackEvent& event, const Frames& frames) {
  if (event.pc == 0) return 0;
  const auto [found, fresh] = chains_.try_emplace({event.pc, event.caller}, static_cast<std::uint32_t>(pcs_.size() + 1));
  if (!fresh) return found->second;
  pcs_.push_back({event.pc, event.caller});
  for (const auto pc : {event.pc, event.caller}) {
    if (pc == 0 || levels_.contains(pc)) continue;
    auto& levels = levels_[pc];
    for (const auto& frame : frames(pc))
      levels.push_back({frame.function, frame.file, frame.line, frame.module, frame.symbol});
  }
  return found->second;
}

void LiveRecords::add(const StackEvent& event, const Frames& frames) {
  const auto kind = kind_number(event.kind);
  if (kind == 0) return;
  if (records_.size() >= kKept) {
    ++left_out_;
    return;
  }
  if (records_.empty()) facts_.first = event.time;
  facts_.last = std::max(facts_.last, event.time);
  auto& released = released_[event.goroutine];
  const bool hot = kind == STACKTIDE_TRACE_LINK && event.duration == 0 && released == event.pc;
  if (kind == STACKTIDE_TRACE_RELEASE) released = event.pc;
  const bool has_chain = kind == STACKTIDE_TRACE_GROW || kind == STACKTIDE_TRACE_LINK;
  records_.push_back({{kind, static_cast<std::uint8_t>(hot ? STACKTIDE_TRACE_HOT : 0), sizeof(stacktide_trace_stack),
                       has_chain ? chain_of(event, frames) : 0, event.time, event.goroutine},
                      narrow(event.old_size),
                      narrow(event.new_size),
                      narrow(event.used),
                      narrow(event.duration),
                      narrow(event.adjusted),
                      narrow(event.scanned)});
}

void LiveRecords::visit(const std::function<void(const stacktide_trace_head&)>& visitor) {
  for (const auto& record : records_) visitor(record.head);
}

std::string LiveRecords::lacks(TracePart part) const {
  switch (part) {
    case TracePart::growth:
    case TracePart::losses:
      return "";
    case TracePart::names:
      return "event rings do not hold them: record the program instead (stacktide record)";
    case TracePart::lifetime:
      return "event rings do not say which goroutines began and ended: record the program instead (stacktide record)";
    case TracePart::end:
      return "event rings do not say how the program ended: record it instead (stacktide record)";
  }
  return "";
}

void LiveRecords::finish(std::uint64_t pid, std::uint64_t filtered) {
  facts_.name = pid == 0 ? "the live trace" : fmt::format("the live trace of process {}", pid);
  facts_.incomplete.clear();
  if (facts_.lost != 0)
    facts_.incomplete.push_back(fmt::format("{} stack events were overwritten before they could be read", facts_.lost));
  if (left_out_ != 0)
    facts_.incomplete.push_back(fmt::format("{} events after the first {} were not kept", left_out_, kKept));
  if (filtered != 0)
    facts_.incomplete.push_back(
        fmt::format("{} events did not meet the conditions of `trace on`, and were not looked at", filtered));
}

std::span<const std::uint64_t> LiveRecords::chain(std::uint32_t number) {
  if (number == 0 || number > pcs_.size()) return {};
  const auto& pcs = pcs_[number - 1];
  return {pcs.data(), pcs[1] == 0 ? 1U : 2U};
}

const std::vector<TraceLevel>& LiveRecords::levels(std::uint64_t pc, bool) {
  auto& levels = levels_[pc];
  if (levels.empty()) levels.emplace_back();
  return levels;
}

}  // namespace stacktide
