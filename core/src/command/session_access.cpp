#include "command/session_access.h"

#include "analyze/frames.h"
#include "command/session_state.h"
#include "command/table.h"
#include "unwind/memory_view.h"

namespace stacktide {
namespace {

// Enough to leave the runtime's park and channel functions for the user's.
constexpr std::size_t kShallowFrames = 12;

}  // namespace

void SessionAccess::locate_shallow(Session& session, Goroutine& goroutine) {
  if (goroutine.located) return;
  auto& state = *session.state_;
  if (!goroutine.registers.get(Register::rip)) return;
  if (goroutine.caller_pc != 0) {
    const auto* user = innermost_user_frame(state.symbolize(goroutine.caller_pc, false));
    if (user != nullptr && !is_system_frame(*user)) return state.place(goroutine, user, {});
  }
  // A goroutine on a thread may be deep in a library, and its sp may have to be found: take all of it. There are few of
  // them.
  const auto limit = goroutine.registers_live ? kMaxFrames : kShallowFrames;
  const auto walk = state.unwinder().unwind(goroutine.registers, limit);
  state.find_stack_pointer(goroutine, walk);
  const auto* user = state.inner_user_frame(walk);
  if ((user == nullptr || is_system_frame(*user)) && walk.frames.size() >= limit) {
    user = state.inner_user_frame(state.unwinder().unwind(goroutine.registers, kMaxFrames));
  }
  state.place(goroutine, user, walk);
}

Unwinding SessionAccess::unwind(Session& session, const Goroutine& goroutine) {
  if (!goroutine.registers.get(Register::rip)) {
    Unwinding none;
    none.stop_reason = "its registers are not known";
    return none;
  }
  return session.state_->unwinder().unwind(goroutine.registers, kMaxFrames);
}

Unwinding SessionAccess::unwind(Session& session, const Registers& registers, std::size_t limit) {
  return session.state_->unwinder().unwind(registers, limit);
}

const Descriptor& SessionAccess::descriptor(Session& session) { return (*session.state_->found_)->descriptor; }
Result<const Descriptor*> SessionAccess::find_descriptor(Session& session) {
  auto& found = session.state_->found();
  if (!found) return std::unexpected(found.error());
  return &found->descriptor;
}

Result<const Descriptor*> SessionAccess::event_descriptor(Session& session) { return session.state_->event_descriptor(); }
std::shared_ptr<const void> SessionAccess::identity(const Session& session) { return session.state_->identity; }
const std::vector<Frame>& SessionAccess::symbolized(Session& session, Address pc) {
  return session.state_->symbolize(pc, false);
}

std::size_t SessionAccess::read_code(Session& session, Address address, std::span<std::byte> out) {
  auto& state = *session.state_;
  MemoryView view(state.target->memory(), state.target->modules(), state.images);
  view.refresh();
  return view.read_up_to(address, out);
}

Symbolizer& SessionAccess::symbolizer(Session& session) { return session.state_->symbolizer(); }
std::vector<MemoryRange> SessionAccess::writable_data(Session& session) { return session.state_->writable_data(); }
void SessionAccess::keep_data(Session& session) { session.state_->keep_data = true; }

Result<const LoadedMaps*> SessionAccess::stack_maps(Session& session) {
  auto& state = *session.state_;
  const auto* snapshot = STACKTIDE_TRY(session.snapshot());
  if (!state.layout.stack_maps_on) return std::unexpected(feature_off(*snapshot, "stackmap"));
  if (!state.maps_) {
    const auto info = snapshot->stack_maps.value_or(StackMapsInfo{});
    state.maps_ = load_stack_maps(info, state.target->memory(), state.target->modules(), state.images);
  }
  if (!*state.maps_) return std::unexpected(state.maps_->error());
  return &**state.maps_;
}

const std::vector<std::string>& SessionAccess::runtime_symbols(Session& session) {
  return session.state_->runtime_symbols();
}
const Layout& SessionAccess::layout(Session& session) { return session.state_->layout; }

}  // namespace stacktide
