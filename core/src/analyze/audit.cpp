#include "analyze/audit.h"

#include <fmt/format.h>

#include <algorithm>

namespace stacktide {

std::uint64_t Audit::notes() const {
  return static_cast<std::uint64_t>(std::ranges::count_if(entries, [](const AuditEntry& entry) { return entry.note; }));
}

std::uint64_t Audit::findings() const { return entries.size() - notes(); }

AuditEntry frame_entry(const Goroutine& goroutine, const MapFrame& frame, std::string kind, std::string text) {
  AuditEntry entry;
  entry.kind = std::move(kind);
  entry.goroutine = goroutine.id;
  entry.level = frame.level;
  entry.function = frame.at.function.empty() ? fmt::format("{:#x}", frame.at.pc) : frame.at.function;
  entry.file = frame.at.file;
  entry.line = frame.at.line;
  entry.text = std::move(text);
  return entry;
}

std::vector<AuditEntry> compare_walks(const Goroutine& goroutine, const std::vector<MapFrame>& frames, Memory& memory) {
  std::vector<AuditEntry> found;
  const auto differs = [&](const MapFrame& frame, std::string text) {
    found.push_back(frame_entry(goroutine, frame, "walks_differ", std::move(text)));
  };
  // Where the records have led so far. Nothing: a frame without one was in between, and unwinding says where to go on.
  std::optional<MapContext> reached;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto& frame = frames[i];
    const auto bp = frame.registers.get(Register::rbp);
    if (!frame.mapped() || !bp) {
      reached.reset();
      continue;
    }
    if (!reached) reached = MapContext{frame.at.pc, frame.at.sp, *bp};
    const auto step = step_by_map(*frame.site, *reached, memory);
    reached.reset();
    if (!step) {
      differs(frame, fmt::format("its record leads nowhere: {}", describe(step.error())));
      continue;
    }
    if (step->cfa != frame.at.cfa) {
      differs(frame, fmt::format("its record puts the CFA at {:#x}, unwinding at {:#x}", step->cfa, frame.at.cfa));
      continue;
    }
    if (i + 1 < frames.size() && step->caller.pc != frames[i + 1].at.pc) {
      differs(frame, fmt::format("its record returns to {:#x}, unwinding to {:#x}", step->caller.pc, frames[i + 1].at.pc));
      continue;
    }
    // A caller on another stack begins where that was left, which only unwinding knows.
    if (i + 1 < frames.size() && frames[i + 1].at.segment == frame.at.segment) reached = step->caller;
  }
  return found;
}

bool pinned_segment(const std::vector<MapFrame>& frames, std::size_t segment) {
  return std::ranges::any_of(frames, [&](const MapFrame& frame) {
    return frame.at.segment == segment && frame.site && (frame.site->pinned || !frame.site->known);
  });
}

}  // namespace stacktide
