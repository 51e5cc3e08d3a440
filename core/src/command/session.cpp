// The session: a target that stands still, and what was learnt of it so far.
//
// Concept. Each part is made on first use and kept: descriptor, snapshot, unwinder, symbols. Code addresses repeat by the
// thousand in parked goroutines, so their symbolic levels are cached by address; arguments differ by frame and are not.
//
// Invariants. Nothing is written to the target. State hangs on the session and dies with it.
//
// A few lines more than 400: all of them work on the one State below.
#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>

#include "analyze/event_text.h"
#include "analyze/frames.h"
#include "analyze/segments.h"
#include "base/printable.h"
#include "command/session_access.h"
#include "command/table.h"
#include "producers/find.h"
#include "stacktide/abi.h"
#include "stacktide/core/command.h"
#include "unwind/memory_view.h"
#include "unwind/unwinder.h"
#include "walk/walker.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxFrames = 10'000;
// Enough to leave the runtime's park and channel functions for the user's.
constexpr std::size_t kShallowFrames = 12;

void make_printable(std::vector<Frame>& frames, std::span<const std::string> runtime_symbols) {
  for (auto& frame : frames) {
    frame.runtime = is_runtime_frame(frame, runtime_symbols);
    for (auto* text : {&frame.function, &frame.symbol, &frame.args, &frame.file, &frame.module}) *text = printable(*text);
  }
}

}  // namespace

struct Session::State {
  explicit State(std::unique_ptr<Target> owned) : target(std::move(owned)) {}

  std::unique_ptr<Target> target;
  ImageCache images;
  std::optional<Unwinder> unwinder_;
  std::optional<Symbolizer> symbolizer_;
  std::optional<Result<FoundDescriptor>> found_;
  Layout layout;
  std::optional<Result<Snapshot>> snapshot_;
  std::optional<Result<LoadedMaps>> maps_;
  std::optional<std::vector<std::string>> runtime_symbols_;
  bool keep_data = false;
  Running running;
  std::map<std::pair<Address, bool>, std::vector<Frame>> levels;

  Unwinder& unwinder() {
    if (!unwinder_) unwinder_.emplace(target->memory(), target->modules(), images);
    return *unwinder_;
  }

  Symbolizer& symbolizer() {
    if (!symbolizer_) symbolizer_.emplace(target->memory(), target->modules(), images);
    return *symbolizer_;
  }

  Result<FoundDescriptor>& found() {
    if (!found_) {
      found_ = find_descriptor(*target, images, symbolizer());
      if (*found_) layout = make_layout((*found_)->descriptor);
    }
    return *found_;
  }

  // For those who ask while the program runs: a runtime that was not there, or not ready, may be by now.
  Result<FoundDescriptor>& found_now() {
    if (found_ && !*found_) found_.reset();
    return found();
  }

  // How the names of the runtime's own functions and data begin; of a target without a runtime, none.
  const std::vector<std::string>& runtime_symbols() {
    if (runtime_symbols_) return *runtime_symbols_;
    auto& symbols = runtime_symbols_.emplace();
    if (!found()) return symbols;
    if (const auto* texts = enum_texts((*found_)->descriptor, "runtime", "symbol")) {
      for (const auto& [value, prefix] : *texts) {
        if (!prefix.empty()) symbols.push_back(prefix);
      }
    }
    return symbols;
  }

  Result<Snapshot>& snapshot() {
    if (!snapshot_) {
      if (auto& descriptor = found(); !descriptor) {
        snapshot_ = std::unexpected(descriptor.error());
      } else {
        snapshot_ = walk(*target, descriptor->descriptor, layout);
        (*snapshot_)->runtime.producer = printable(descriptor->producer);
        auto keep = stacks(**snapshot_);
        if (keep_data) std::ranges::copy(writable_data(), std::back_inserter(keep));
        target->release(keep);
        name_library_calls(**snapshot_);
      }
    }
    return *snapshot_;
  }

  // Of the module that has the runtime. Relocated constants (.data.rel.ro) are in it: they are writable until the loader is
  // done, and harmless to read.
  std::vector<MemoryRange> writable_data() {
    std::vector<MemoryRange> ranges;
    if (!found()) return ranges;
    MemoryView view(target->memory(), target->modules(), images);
    view.refresh();
    const auto* module = view.module_at((*found_)->descriptor.address);
    if (module == nullptr) return ranges;
    for (const auto& segment : view.segments_of(*module)) {
      if (segment.type != PT_LOAD || (segment.flags & PF_W) == 0 || segment.memory_size == 0) continue;
      ranges.push_back({module->load_bias + segment.address, segment.memory_size});
    }
    return ranges;
  }

  // The functions of goroutines that are in a library call, by name. There are no more of these than threads.
  void name_library_calls(Snapshot& snapshot) {
    std::map<Address, std::string> names;
    for (auto& g : snapshot.goroutines) {
      if (g.status != "syscall" || g.wait_object == 0) continue;
      auto [name, fresh] = names.try_emplace(g.wait_object);
      if (fresh) name->second = library_call(g);
      g.wait_reason = name->second;
    }
    for (auto& m : snapshot.ms) {
      const auto* g = snapshot.find(m.goroutine);
      if (g != nullptr && g->status == "syscall") m.call = g->wait_reason;
    }
  }

  std::string library_call(const Goroutine& goroutine) {
    auto name = symbolizer().called_name(goroutine.wait_object, goroutine.entry_pc);
    if (name.empty()) return fmt::format("{:#x}", goroutine.wait_object);
    // The runtime's own wrapper of a function given to on_system_stack().
    return symbolize(goroutine.wait_object, true).back().runtime ? "on_system_stack" : name;
  }

  // What unwinding reads: the used part of every goroutine's stack, and of the threads' own.
  std::vector<MemoryRange> stacks(const Snapshot& snapshot) {
    constexpr std::uint64_t kThreadStack = 256 * 1024;  // most that is kept of one; calls from goroutines begin near its end
    constexpr std::uint64_t kRedZone = 128;
    std::vector<MemoryRange> ranges;
    for (const auto& g : snapshot.goroutines) {
      for (const auto& segment : g.stack.segments) {
        if (segment.hi <= segment.lo) continue;
        const auto from =
            !g.registers_live && segment.sp >= segment.lo && segment.sp <= segment.hi ? segment.sp : segment.lo;
        ranges.push_back({from, segment.hi - from});
      }
    }
    if (const auto threads = target->threads()) {
      for (const auto& thread : *threads) {
        if (const auto sp = thread.registers.get(Register::rsp)) ranges.push_back({*sp - kRedZone, kThreadStack});
      }
    }
    return ranges;
  }

  const std::vector<Frame>& symbolize(Address pc, bool exact) {
    const auto key = std::pair(pc, exact);
    const auto found = levels.find(key);
    if (found != levels.end()) return found->second;
    auto frames = symbolizer().symbolize(pc, exact);
    make_printable(frames, runtime_symbols());
    return levels.emplace(key, std::move(frames)).first->second;
  }

  // Where a goroutine that runs a library call on the thread's own stack left the goroutine stack: the first frame whose
  // caller lies on it.
  static Address stack_pointer(const Stack& stack, const Unwinding& walk) {
    for (const auto& frame : walk.frames) {
      if (frame.cfa <= stack.lo || frame.cfa > stack.hi) continue;
      return frame.sp >= stack.lo && frame.sp <= stack.hi ? frame.sp : frame.cfa;
    }
    return 0;
  }

  void find_stack_pointer(Goroutine& goroutine, const Unwinding& walk) {
    auto& stack = goroutine.stack;
    if (stack.sp != 0 || stack.segments.empty()) return;
    stack.sp = stack_pointer(stack, walk);
    stack.segments.front().sp = stack.sp;
    measure(stack);
  }

  // The innermost and the outermost user frame of a walk, as analyze/frames.h defines them, without copying any: with
  // 100,000 goroutines copies are most of the time. The levels stay where they are.
  const Frame* inner_user_frame(const Unwinding& walk) {
    const Frame* named = nullptr;
    for (const auto& frame : walk.frames) {
      const auto* user = innermost_user_frame(symbolize(frame.pc, frame.exact_pc));
      if (user == nullptr) continue;
      if (!is_system_frame(*user)) return user;
      if (named == nullptr) named = user;
    }
    return named;
  }
  const Frame* outer_user_frame(const Unwinding& walk) {
    const Frame* named = nullptr;
    for (auto frame = walk.frames.rbegin(); frame != walk.frames.rend(); ++frame) {
      const auto* user = outermost_user_frame(symbolize(frame->pc, frame->exact_pc));
      if (user == nullptr) continue;
      if (!is_system_frame(*user)) return user;
      if (named == nullptr) named = user;
    }
    return named;
  }

  // One that has not begun yet, or whose entry has left its frame to a function of the runtime's, is in its entry.
  void place(Goroutine& goroutine, const Frame* frame, const Unwinding& walk) {
    if (frame == nullptr && walk.complete && goroutine.entry_pc != 0)
      frame = innermost_user_frame(symbolize(goroutine.entry_pc, true));
    if (frame == nullptr) return;
    goroutine.function = frame->function;
    goroutine.file = frame->file;
    goroutine.line = frame->line;
  }
};

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
  if (!found && found.error().code == ErrorCode::runtime_not_started) return std::nullopt;
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
  if (!found && found.error().code == ErrorCode::runtime_not_started) return 0;
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
    make_printable(levels, state_->runtime_symbols());
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
  auto name = fmt::format("goroutine {} [{}]", goroutine.id, state_of(goroutine));
  if (!goroutine.entry.empty()) name += " " + goroutine.entry;
  return name;
}

std::vector<Frame> Session::symbolize(Address pc, bool exact) { return state_->symbolize(pc, exact); }

Result<Address> Session::event_hook() {
  if (auto& found = state_->found(); !found) return std::unexpected(found.error());
  if (const auto address = state_->symbolizer().address_of(STACKTIDE_EVENT_HOOK)) return *address;
  return fail(ErrorCode::no_symbols, "the function " STACKTIDE_EVENT_HOOK " is not in the target's symbol tables");
}

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
