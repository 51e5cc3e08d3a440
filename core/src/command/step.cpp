#include "stacktide/core/step.h"

#include <fmt/format.h>

#include <algorithm>

#include "analyze/event_text.h"
#include "analyze/frames.h"
#include "command/session_access.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxFrames = 10'000;
// From a library's catch to the function that it is in: the library's own frames, and those that carried the call there.
constexpr std::size_t kCatchFrames = 16;
// In C++ nothing is caught without it, and it is called in the frame that catches.
constexpr const char* kCatch = "__cxa_begin_catch";

constexpr std::string_view kCure = "use goroutine next, or run with STACKTIDE_MINSTACK=1M";

std::optional<std::size_t> segment_of(const Stack& stack, Address cfa) {
  for (std::size_t i = 0; i < stack.segments.size(); ++i) {
    if (cfa > stack.segments[i].lo && cfa <= stack.segments[i].hi) return i;
  }
  return std::nullopt;
}

// A body that runs on a linked segment stands for the frame that asked for it, on the older one: there it was before, too,
// if the step began ahead of its check.
FramePlace place_of(const Stack& stack, const Unwinding& walk, std::size_t index) {
  Address cfa = walk.frames[index].cfa;
  const auto own = segment_of(stack, cfa);
  if (!own) return {false, cfa};
  if (index + 1 < walk.frames.size()) {
    const auto older = segment_of(stack, walk.frames[index + 1].cfa);
    if (older && *older > *own) cfa = walk.frames[index + 1].cfa;
  }
  return {true, stack.depth(cfa).value_or(0)};
}

// Whether `a` is `b` or one of the frames that called it. Code on a thread's own stack is called from the goroutine's.
bool is_or_called(const FramePlace& a, const FramePlace& b) {
  if (a.on_goroutine != b.on_goroutine) return a.on_goroutine;
  return a.on_goroutine ? a.value <= b.value : a.value >= b.value;
}

Frame function_at(Session& session, const UnwoundFrame& frame) { return session.symbolize(frame.pc, frame.exact_pc).back(); }

// In how many inlined functions the user's code at a frame is: what was inlined of the runtime's into it does not count.
std::size_t user_level(Session& session, const UnwoundFrame& frame) {
  const auto levels = session.symbolize(frame.pc, frame.exact_pc);
  const auto users = std::ranges::find(levels, false, &Frame::runtime);
  return users == levels.end() ? 0 : static_cast<std::size_t>(levels.end() - users) - 1;
}

}  // namespace

void Step::add(Address address) {
  const auto at = std::ranges::lower_bound(breakpoints_, address);
  if (at == breakpoints_.end() || *at != address) breakpoints_.insert(at, address);
}

Result<Step> Step::plan(Session& session, StepKind kind, const Goroutine& goroutine, const Registers& registers,
                        const StepFrame& frame) {
  const auto walk = SessionAccess::unwind(session, registers, kMaxFrames);
  const auto& frames = walk.frames;
  const auto is_users = [&](const UnwoundFrame& candidate) {
    const auto at = function_at(session, candidate);
    return !at.runtime && at.line != 0;
  };
  auto found = frames.begin();
  auto inlined = frame.inlined;
  if (frame.cfa != 0) {
    found = std::ranges::find(frames, frame.cfa, &UnwoundFrame::cfa);
  } else if (!frames.empty() && !is_users(frames.front())) {
    // Parked, in a library, or in the middle of a check: the user's line is further out.
    const auto users = std::ranges::find_if(frames, is_users);
    if (users != frames.end()) {
      found = users;
      inlined = user_level(session, *users);
    }
  }
  if (found == frames.end()) {
    return std::unexpected(Error{
        ErrorCode::damaged_data, frame.cfa,
        fmt::format("goroutine {}: unwinding does not come to the selected frame: {}", goroutine.id, walk.stop_reason)});
  }
  const auto index = static_cast<std::size_t>(found - frames.begin());
  Step step;
  step.goroutine_ = goroutine.id;
  step.place_ = place_of(goroutine.stack, walk, index);
  const auto function = function_at(session, *found);
  step.from_ = place_of(function.function, function.file, function.line, found->pc);

  const bool out_of_inlined = kind == StepKind::finish && inlined > 0;
  if (kind == StepKind::next || out_of_inlined) {
    const auto to = out_of_inlined ? StepTo::caller : StepTo::next_line;
    if (const auto ends = SessionAccess::symbolizer(session).step_ends(found->pc, found->exact_pc, inlined, to)) {
      for (const auto& end : *ends) step.lines_.emplace_back(end.address, end.level);
    }
  }
  // The caller: not what the runtime puts in between and, for a line, none without lines.
  const auto is_end = [&](const UnwoundFrame& candidate) {
    return kind == StepKind::next ? is_users(candidate) : !function_at(session, candidate).runtime;
  };
  auto caller = std::find_if(found + 1, frames.end(), is_end);
  if (caller == frames.end() && found + 1 != frames.end()) caller = found + 1;
  if (caller != frames.end())
    step.caller_ = End{caller->pc, place_of(goroutine.stack, walk, static_cast<std::size_t>(caller - frames.begin()))};
  if (step.lines_.empty() && !step.caller_) {
    return std::unexpected(
        Error{ErrorCode::no_symbols, found->pc,
              fmt::format("goroutine {}: {} has no lines and no caller: {}", goroutine.id, step.from_, walk.stop_reason)});
  }
  for (const auto& [address, level] : step.lines_) step.add(address);
  std::ranges::sort(step.lines_);
  if (step.caller_) step.add(step.caller_->pc);
  step.catch_ = SessionAccess::symbolizer(session).address_of(kCatch).value_or(0);
  if (step.catch_ != 0) step.add(step.catch_);
  return step;
}

Step::Verdict Step::caught(Session& session, const Goroutine& goroutine, const Registers& registers) {
  const auto walk = SessionAccess::unwind(session, registers, kCatchFrames);
  for (std::size_t i = 1; i + 1 < walk.frames.size(); ++i) {
    if (function_at(session, walk.frames[i]).runtime) continue;
    const End end{walk.frames[i].pc, place_of(goroutine.stack, walk, i)};
    // Of the stepped function itself, all lines are ends already.
    if (!is_or_called(end.place, place_) || (end.place == place_ && !lines_.empty())) return Verdict::go_on;
    catchers_.push_back(end);
    add(end.pc);
    return Verdict::more;
  }
  return Verdict::go_on;
}

Step::Verdict Step::ends(Session& session, const Goroutine& goroutine, const Registers& registers) {
  const auto pc = registers.get(Register::rip).value_or(0);
  if (goroutine.id != goroutine_ || pc == 0) return Verdict::go_on;
  if (pc == catch_) return caught(session, goroutine, registers);
  const auto walk = SessionAccess::unwind(session, registers, 2);
  if (walk.frames.empty()) return Verdict::go_on;
  const auto place = place_of(goroutine.stack, walk, 0);
  if (caller_ && pc == caller_->pc && place == caller_->place) return Verdict::returned;
  inlined_.reset();
  const auto here = [&](const End& end) { return end.pc == pc && end.place == place; };
  if (std::ranges::any_of(catchers_, here)) return Verdict::stop;
  const auto line = std::ranges::lower_bound(lines_, pc, {}, &std::pair<Address, std::size_t>::first);
  if (place != place_ || line == lines_.end() || line->first != pc) return Verdict::go_on;
  inlined_ = line->second;
  return Verdict::stop;
}

std::string move_warning(const Goroutine& before, const Goroutine& after, std::string_view host) {
  if (before.id != after.id) return "";
  const bool moved = before.grows != after.grows || before.shrinks != after.shrinks || before.stack.hi != after.stack.hi;
  // A linked segment changes the extents, and moves nothing.
  if (!moved || (before.links != after.links && before.grows == after.grows && before.shrinks == after.shrinks)) return "";
  return fmt::format("the stack of goroutine {} moved ({} -> {} bytes) during this step: {} may have lost the frame; {}",
                     after.id, before.stack.size, after.stack.size, host, kCure);
}

std::string end_warning(const Goroutine& before, std::string_view host) {
  return fmt::format("goroutine {} ended during this step: if its stack moved, {} lost the frame; {}", before.id, host,
                     kCure);
}

}  // namespace stacktide
