// bt: frames in the style of GDB, with the CFA and the size of each.
#include <fmt/format.h>

#include <algorithm>

#include "analyze/frames.h"
#include "view/views.h"

namespace stacktide {
namespace {

std::string function_of(const Frame& frame, bool with_args) {
  if (frame.function.empty()) return fmt::format("?? in {}", frame.module.empty() ? "no module" : base_name(frame.module));
  auto text = frame.function;
  if (with_args && !frame.args.empty()) text += fmt::format(" ({})", frame.args);
  return text;
}

// The line between frames of two segments.
std::string boundary(const Stack& stack, std::size_t older, bool exact) {
  if (!exact) return "--- older segment";
  const auto& segment = stack.segments[older];
  return fmt::format("--- segment {}: {} - {}, {}, {} used", older, hex(segment.lo), hex(segment.hi),
                     plural(segment.size(), "byte"), segment.used());
}

}  // namespace

bool begins_segment(const std::vector<Frame>& frames, std::size_t level) {
  return level != 0 && frames[level].segment.value_or(0) != 0 && frames[level].segment != frames[level - 1].segment;
}

std::string goroutine_header(const Goroutine& goroutine) {
  auto text = fmt::format("goroutine {} [{}", goroutine.id, state_of(goroutine));
  if (goroutine.wait_ns) {
    if (const auto waited = long_wait(*goroutine.wait_ns); !waited.empty()) text += ", " + waited;
  }
  if (goroutine.locked) text += ", locked to thread";
  return text + "]:";
}

std::string backtrace_text(const BacktraceModel& model, const Style& style) {
  const auto& first = *model.members.front();
  std::string head = model.members.size() == 1 ? goroutine_header(first)
                                               : fmt::format("{} [{}]: {}", plural(model.members.size(), "goroutine"),
                                                             state_of(first), id_ranges(model.members));
  auto out = bold(head, style) + "\n";
  const auto& frames = model.backtrace.frames;
  const auto shown = model.limit == 0 ? frames.size() : std::min(model.limit, frames.size());
  Table table;
  table.column("#", Align::left);
  table.column("pc", Align::left);
  table.column("cfa", Align::left);
  table.column("size", Align::right);
  table.column("function", Align::left);
  const bool with_args = model.members.size() == 1;
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& frame = frames[i];
    auto where = "in " + function_of(frame, with_args);
    if (!frame.file.empty()) where += fmt::format(" at {}:{}", frame.file, frame.line);
    if (begins_segment(frames, i)) table.row({"", "", "", "", boundary(first.stack, *frame.segment, with_args)});
    // An inlined level shares its stack frame with the function below it.
    table.row({fmt::format("#{}", i), hex(frame.pc), with_args ? (frame.cfa == 0 ? "?" : hex(frame.cfa)) : "",
               frame.inlined    ? "inlined"
               : frame.cfa == 0 ? "?"
                                : fmt::format("{}", frame.size),
               std::move(where)});
  }
  if (shown != 0) out += table.render(style);
  if (shown < frames.size()) {
    out += fmt::format("{} outside these: --limit 0\n", plural(frames.size() - shown, "frame"));
  } else if (!model.backtrace.complete) {
    out += fmt::format("(stopped: {})\n", model.backtrace.stop_reason);
  }
  return out;
}

}  // namespace stacktide
