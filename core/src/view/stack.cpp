// stack: a goroutine's stack to scale, its segments, what comes next, and a line per frame.
#include <fmt/format.h>

#include <algorithm>

#include "analyze/event_text.h"
#include "analyze/frames.h"
#include "view/views.h"

namespace stacktide {
namespace {

constexpr std::uint64_t kPictureRows = 16;

struct Mark {
  Address address;
  std::string text;
};

// The picture of one segment, hi at the top: '#' in use, '.' used once, '-' below the guard.
class Picture {
 public:
  explicit Picture(const StackModel& model) : model_(model), stack_(model.goroutine.stack) {}

  std::string draw() const {
    const auto size = stack_.hi - stack_.lo;
    // Rows are powers of two, as stacks are: marks then fall on row ends.
    std::uint64_t step = 1;
    while (step * kPictureRows < size) step *= 2;
    auto marks = this->marks();
    std::string out = line("+--------+", stack_.hi, "hi");
    for (Address top = stack_.hi; top > stack_.lo;) {
      const Address bottom = top - stack_.lo > step ? top - step : stack_.lo;
      std::string text;
      Address at = 0;
      for (const auto& mark : marks) {
        // The mark at a row's lower end belongs to it: sp, guard and lo are lower ends themselves.
        if (mark.address >= top || mark.address < bottom || (bottom == stack_.lo && mark.address == bottom)) continue;
        if (text.empty()) at = mark.address;
        text += text.empty() ? mark.text : fmt::format("; {} {}", hex(mark.address), mark.text);
      }
      out += text.empty() ? row(top, bottom) + "\n" : line(row(top, bottom), at, text);
      top = bottom;
    }
    std::string lo = "lo";
    if (model_.canary_intact) lo += *model_.canary_intact ? ", canary intact" : ", canary OVERWRITTEN";
    out += line("+--------+", stack_.lo, lo);
    out += fmt::format("  one row is {}\n", plural(step, "byte"));
    return out;
  }

 private:
  static std::string line(std::string_view box, Address address, std::string_view text) {
    return fmt::format("  {} {} {}\n", box.starts_with("  ") ? box.substr(2) : box, hex(address), text);
  }

  // What covers most of a row is drawn; the marks say the rest.
  std::string row(Address top, Address bottom) const {
    const Address middle = bottom + (top - bottom) / 2;
    char fill = ' ';
    if (stack_.sp != 0 && middle >= stack_.sp) {
      fill = '#';
    } else if (high_water() != 0 && middle >= high_water()) {
      fill = '.';
    } else if (stack_.guard != 0 && middle < stack_.guard) {
      fill = '-';
    }
    return fmt::format("  |{}|", std::string(8, fill));
  }

  // The lowest address ever in use; only of a stack in one piece, for high_water counts all segments.
  Address high_water() const {
    const auto most = stack_.high_water.value_or(0);
    if (stack_.segments.size() != 1 || most == 0 || most > stack_.hi - stack_.lo) return 0;
    return stack_.hi - most;
  }

  std::vector<Mark> marks() const {
    std::vector<Mark> marks;
    if (stack_.sp != 0) marks.push_back({stack_.sp, fmt::format("sp, {} used", stack_.hi - stack_.sp)});
    if (high_water() != 0) marks.push_back({high_water(), fmt::format("high-water, {} used at most", *stack_.high_water)});
    const auto small = constant_of(model_.snapshot, "stack_small", 0);
    if (stack_.guard > stack_.lo && stack_.guard < stack_.hi) {
      marks.push_back({stack_.guard, fmt::format("guard, lo + {}", stack_.guard - stack_.lo)});
      if (small > 0 && static_cast<std::uint64_t>(small) < stack_.guard - stack_.lo) {
        marks.push_back({stack_.guard - static_cast<std::uint64_t>(small), fmt::format("StackSmall, guard - {}", small)});
      }
    }
    std::ranges::stable_sort(marks, std::ranges::greater{}, &Mark::address);
    return marks;
  }

  const StackModel& model_;
  const Stack& stack_;
};

std::string guard_line(const StackModel& model) {
  const auto& stack = model.goroutine.stack;
  if (stack.guard_state == GuardState::unknown) return "unknown";
  auto text = fmt::format("{}, stackguard0 {}", guard_state_name(stack.guard_state), hex(stack.guard_slot));
  if (stack.guard_slot != stack.guard) text += fmt::format(", true guard {}", hex(stack.guard));
  return text;
}

// Links that the function which needed more has caused, wherever it was called.
std::uint64_t links_of(const Snapshot& snapshot, Address pc) {
  std::uint64_t links = 0;
  for (const auto& split : snapshot.hot_splits) links += split.pc == pc ? split.count : 0;
  return links;
}

std::string segments_text(const StackModel& model, const Style& style) {
  const auto& stack = model.goroutine.stack;
  Table table;
  table.column("segment", Align::right);
  table.column("lo", Align::left);
  table.column("hi", Align::left);
  for (const auto* header : {"size", "used"}) table.column(header, Align::right);
  table.column("sp", Align::left);
  table.column("links", Align::right);
  table.column("left for", Align::left);
  for (std::size_t i = 0; i < stack.segments.size(); ++i) {
    const auto& segment = stack.segments[i];
    table.row({i == 0 ? "current" : fmt::format("{}", i), hex(segment.lo), hex(segment.hi),
               fmt::format("{}", segment.size()), fmt::format("{}", segment.used()), segment.sp == 0 ? "?" : hex(segment.sp),
               segment.pc == 0 ? "" : grouped(links_of(model.snapshot, segment.pc)),
               segment.pc == 0 ? "" : place_of(short_name(segment.function), segment.file, segment.line, segment.pc)});
  }
  return table.render(style);
}

std::string frames_text(const StackModel& model, const Style& style) {
  Table table;
  table.column("#", Align::left);
  table.column("size", Align::right);
  table.column("sp", Align::left);
  table.column("function", Align::left);
  const auto& frames = model.backtrace.frames;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto& frame = frames[i];
    auto where = frame.function.empty() ? "?? in " + std::string(base_name(frame.module)) : short_name(frame.function);
    if (!frame.file.empty()) where += " at " + file_line(frame.file, frame.line);
    if (begins_segment(frames, i)) table.row({"", "", "", fmt::format("--- segment {}", *frame.segment)});
    table.row({fmt::format("#{}", i),
               frame.inlined    ? "inlined"
               : frame.cfa == 0 ? "?"
                                : fmt::format("{}", frame.size),
               hex(frame.sp), std::move(where)});
  }
  auto out = frames.empty() ? "" : table.render(style);
  if (!model.backtrace.complete) out += fmt::format("(stopped: {})\n", model.backtrace.stop_reason);
  return out;
}

// What the runtime does not export is '?'.
template <class Number>
std::string or_unknown(const std::optional<Number>& value) {
  return value ? fmt::format("{}", *value) : "?";
}

std::string counter(const std::optional<std::uint64_t>& value, const char* what) {
  return value ? plural(*value, what) : fmt::format("? {}s", what);
}

std::string pinned_text(const Stack& stack) {
  auto text = stack.pinned_by.empty() ? hex(stack.pinned_pc) : stack.pinned_by;
  if (!stack.pinned_type.empty()) text += ": " + stack.pinned_type;
  return stack.pinned_variable.empty() ? text : text + " " + stack.pinned_variable;
}

}  // namespace

std::string stack_text(const StackModel& model, const Style& style) {
  const auto& g = model.goroutine;
  const auto& stack = g.stack;
  auto out = bold(goroutine_header(g), style);
  if (!g.function.empty())
    out += fmt::format(" {}{}", short_name(g.function), g.file.empty() ? "" : " at " + file_line(g.file, g.line));
  out += "\n";
  if (stack.segments.empty()) return out + "  no stack\n";
  out += Picture(model).draw();
  Table facts;
  facts.column("", Align::left);
  facts.column("", Align::left);
  auto size = fmt::format("{} in {}", plural(stack.size, "byte"), plural(stack.segments.size(), "segment"));
  if (stack.sp == 0) {
    size += ", sp unknown";
  } else {
    size += fmt::format(", {} used, {} to the guard, {} used at most", stack.used, or_unknown(stack.headroom),
                        or_unknown(stack.high_water));
  }
  facts.row({"  size", size});
  facts.row({"  guard", guard_line(model)});
  facts.row({"  next check", model.report.next_check});
  facts.row({"  will shrink", model.report.shrink});
  facts.row({"  counters",
             fmt::format("{}, {}, {}, {}, {} copied", counter(g.grows, "grow"), counter(g.shrinks, "shrink"),
                         counter(g.links, "link"), counter(g.hot_splits, "hot split"), counter(g.bytes_copied, "byte"))});
  if (stack.moving_to != 0)
    facts.row({"  moving", fmt::format("from {} to {}", hex(stack.moving_from), hex(stack.moving_to))});
  if (stack.pinned_pc != 0) facts.row({"  pinned by", pinned_text(stack)});
  if (!model.waits_for.empty()) facts.row({"  waits for", model.waits_for});
  if (!g.created_by.empty()) {
    facts.row(
        {"  created by", fmt::format("{}{}", g.created_by,
                                     g.created_file.empty() ? "" : " at " + file_line(g.created_file, g.created_line))});
  }
  out += facts.render(style);
  if (stack.segments.size() > 1) out += segments_text(model, style);
  return out + frames_text(model, style);
}

}  // namespace stacktide
