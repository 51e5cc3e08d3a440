// The session: a target that stands still, and what was learnt of it so far.
//
// Concept. Each part is made on first use and kept: descriptor, snapshot, unwinder, symbols. Code addresses repeat by the
// thousand in parked goroutines, so their symbolic levels are cached by address; arguments differ by frame and are not.
//
// Invariants. Nothing is written to the target. State hangs on the session and dies with it.
#include "stacktide/core/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "analyze/event_text.h"
#include "analyze/frames.h"
#include "analyze/segments.h"
#include "command/session_access.h"
#include "command/session_state.h"
#include "stacktide/abi.h"

namespace stacktide {

Session::Session(std::unique_ptr<Target> target) : state_(std::make_unique<State>(std::move(target))) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

Target& Session::target() { return *state_->target; }

Result<Snapshot*> Session::snapshot() {
  auto& snapshot = state_->snapshot();
  if (!snapshot) return std::unexpected(snapshot.error());
  return &*snapshot;
}

Result<Goroutine*> Session::goroutine(std::uint64_t id) {
  auto* snapshot = STACKTIDE_TRY(this->snapshot());
  if (auto* found = snapshot->find(id)) return found;
  const auto& all = snapshot->goroutines;
  if (all.empty()) return fail(ErrorCode::no_such_goroutine, fmt::format("no goroutine {}: there are none", id));
  return fail(ErrorCode::no_such_goroutine, fmt::format("no goroutine {}: there are {}, with ids from {} to {}", id,
                                                        all.size(), all.front().id, all.back().id));
}

Goroutine* Session::goroutine_of_thread(std::uint64_t tid) {
  auto& snapshot = state_->snapshot();
  if (!snapshot || tid == 0) return nullptr;
  const auto found = std::ranges::find_if(snapshot->goroutines, [&](const Goroutine& g) { return g.tid == tid; });
  if (found != snapshot->goroutines.end()) return &*found;
  // In the middle of a move of its stack it is looked at by its saved context, but is on its thread all the same.
  const auto m = std::ranges::find_if(snapshot->ms, [&](const Machine& machine) { return machine.tid == tid; });
  return m == snapshot->ms.end() || m->goroutine == 0 ? nullptr : snapshot->find(m->goroutine);
}

Result<std::optional<Goroutine>> Session::running_on(std::uint64_t tid) {
  auto& found = state_->found_now();
  if (!found && found.error().code == ErrorCode::not_started) return std::nullopt;
  if (!found) return std::unexpected(found.error());
  if (state_->layout.scheduler_on) return state_->running.on(*state_->target, found->descriptor, state_->layout, tid);
  auto snapshot = walk(*state_->target, found->descriptor, state_->layout);
  const auto on = std::ranges::find_if(snapshot.goroutines, [&](const Goroutine& g) { return tid != 0 && g.tid == tid; });
  if (on == snapshot.goroutines.end()) return std::nullopt;
  return std::move(*on);
}

Result<std::optional<Goroutine>> Session::reread(const Goroutine& goroutine) {
  auto& found = state_->found_now();
  if (!found) return std::unexpected(found.error());
  return read_goroutine(*state_->target, found->descriptor, state_->layout, goroutine);
}

Result<std::uint64_t> Session::goroutine_count() {
  auto& found = state_->found_now();
  if (!found && found.error().code == ErrorCode::not_started) return 0;
  if (!found) return std::unexpected(found.error());
  if (const auto live = live_goroutines(state_->target->memory(), found->descriptor, state_->layout)) return *live;
  return walk(*state_->target, found->descriptor, state_->layout).goroutines.size();
}

Backtrace Session::backtrace(const Goroutine& goroutine) {
  Backtrace result;
  if (!goroutine.registers.get(Register::rip)) {
    result.stop_reason = "its registers are not known";
    return result;
  }
  auto walk = state_->unwinder().unwind(goroutine.registers, kMaxFrames);
  const std::span frames(walk.frames);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto& frame = frames[i];
    // What optimised code has lost of its arguments, a caller may still know.
    auto levels = state_->symbolizer().symbolize(frame, frames.subspan(i + 1));
    state_->finish(levels);
    for (auto& level : levels) {
      level.sp = frame.sp;
      level.cfa = frame.cfa;
      level.size = frame.cfa > frame.sp ? frame.cfa - frame.sp : 0;
      result.frames.push_back(std::move(level));
    }
  }
  place_in_segments(result.frames, goroutine.stack);
  result.complete = walk.complete;
  result.stop_reason = std::move(walk.stop_reason);
  return result;
}

void Session::locate(Goroutine& goroutine) {
  if (goroutine.located) return;
  goroutine.located = true;
  Unwinding walk;
  if (goroutine.registers.get(Register::rip)) walk = state_->unwinder().unwind(goroutine.registers, kMaxFrames);
  state_->find_stack_pointer(goroutine, walk);
  state_->place(goroutine, state_->inner_user_frame(walk), walk);
  if (const auto* outermost = walk.complete ? state_->outer_user_frame(walk) : nullptr) {
    goroutine.entry = outermost->function;
  } else if (goroutine.entry_pc != 0) {
    goroutine.entry = state_->symbolize(goroutine.entry_pc, true).back().function;
  }
  if (goroutine.creation_pc != 0) {
    if (const auto* creator = innermost_user_frame(state_->symbolize(goroutine.creation_pc, false))) {
      goroutine.created_by = creator->function;
      goroutine.created_file = creator->file;
      goroutine.created_line = creator->line;
    }
  }
  for (auto& segment : goroutine.stack.segments) {
    if (segment.pc == 0) continue;
    const auto& function = state_->symbolize(segment.pc, false).back();
    segment.function = function.function;
    segment.file = function.file;
    segment.line = function.line;
  }
  if (auto& stack = goroutine.stack; stack.pinned_pc != 0) {
    stack.pinned_by = state_->symbolize(stack.pinned_pc, false).back().function;
    if (const auto maps = SessionAccess::stack_maps(*this)) {
      if (const auto pins = (*maps)->maps.pins(stack.pinned_pc); !pins.empty()) {
        stack.pinned_variable = pins.front().name;
        stack.pinned_type = pins.front().type;
      }
    }
  }
}

std::string Session::thread_name(Goroutine& goroutine) {
  locate(goroutine);
  return thread_name(goroutine, goroutine.entry);
}

std::string Session::thread_name(const Goroutine& goroutine, const std::string& entry) {
  return fmt::format("goroutine {} [{}]{}{}", goroutine.id, state_of(goroutine), entry.empty() ? "" : " ", entry);
}

std::vector<Frame> Session::symbolize(Address pc, bool exact) { return state_->symbolize(pc, exact); }

Result<Address> Session::event_hook() { return state_->hook(STACKTIDE_EVENT_HOOK, STACKTIDE_ROOT_EVENT_HOOK); }
Result<Address> Session::pending_hook() { return state_->hook(STACKTIDE_PENDING_HOOK, STACKTIDE_ROOT_PENDING_HOOK); }

Result<std::string> Session::describe_event(Address address, Address caller_pc) {
  auto& found = state_->found();
  if (!found) return std::unexpected(found.error());
  auto event = STACKTIDE_TRY(read_event(state_->target->memory(), found->descriptor, state_->layout, address));
  if (event.pc != 0) {
    // The check stands in the function's own prologue, whatever is inlined there.
    const auto& function = state_->symbolize(event.pc, false).back();
    event.function = function.function;
    event.file = function.file;
    event.line = function.line;
  }
  const Frame* caller = nullptr;
  if (event.pc != 0 && caller_pc != 0) {
    const auto& levels = state_->symbolize(caller_pc, false);
    caller = innermost_user_frame(levels);
    if (caller == nullptr) caller = &levels.front();
  }
  return describe_stack_event(event, caller);
}

}  // namespace stacktide
