#include "command/session_state.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "analyze/frames.h"
#include "base/printable.h"
#include "stacktide/abi.h"
#include "unwind/memory_view.h"

namespace stacktide {

Unwinder& Session::State::unwinder() {
  if (!unwinder_) unwinder_.emplace(target->memory(), target->modules(), images);
  return *unwinder_;
}

Symbolizer& Session::State::symbolizer() {
  if (!symbolizer_) symbolizer_.emplace(target->memory(), target->modules(), images);
  return *symbolizer_;
}

Result<FoundDescriptor>& Session::State::found() {
  if (!found_) {
    found_ = find_descriptor(*target, images, symbolizer());
    if (*found_) layout = make_layout((*found_)->descriptor);
  }
  return *found_;
}

Result<FoundDescriptor>& Session::State::found_now() {
  if (found_ && !*found_) found_.reset();
  return found();
}

Result<const Descriptor*> Session::State::event_descriptor() {
  if (!found_now()) return std::unexpected((*found_).error());
  const auto* rings = (*found_)->descriptor.root("event_rings");
  if (rings != nullptr && rings->count == 0) {
    if (auto again = read_descriptor(target->memory(), (*found_)->descriptor.address))
      (*found_)->descriptor = std::move(*again);
  }
  return &(*found_)->descriptor;
}

Result<Address> Session::State::hook(const char* function, std::string_view root_name) {
  const auto* descriptor = STACKTIDE_TRY(event_descriptor());
  if (const auto address = symbolizer().address_of(function)) return *address;
  if (const auto* root = descriptor->root(root_name); root != nullptr && root->address != 0) return root->address;
  return fail(ErrorCode::no_symbols,
              fmt::format("the function {} is neither in the target's symbol tables nor exported", function));
}

const std::vector<std::string>& Session::State::runtime_symbols() {
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

Result<Snapshot>& Session::State::snapshot() {
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

std::vector<MemoryRange> Session::State::writable_data() {
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

void Session::State::name_library_calls(Snapshot& snapshot) {
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

std::string Session::State::library_call(const Goroutine& goroutine) {
  auto name = symbolizer().called_name(goroutine.wait_object, goroutine.entry_pc);
  if (name.empty()) return fmt::format("{:#x}", goroutine.wait_object);
  // The runtime's own wrapper of a function given to on_system_stack().
  return symbolize(goroutine.wait_object, true).back().runtime ? "on_system_stack" : name;
}

std::vector<MemoryRange> Session::State::stacks(const Snapshot& snapshot) {
  constexpr std::uint64_t kThreadStack = 256 * 1024;  // most that is kept of one; calls from goroutines begin near its end
  constexpr std::uint64_t kRedZone = 128;
  std::vector<MemoryRange> ranges;
  for (const auto& g : snapshot.goroutines) {
    for (const auto& segment : g.stack.segments) {
      if (segment.hi <= segment.lo) continue;
      const auto from = !g.registers_live && segment.sp >= segment.lo && segment.sp <= segment.hi ? segment.sp : segment.lo;
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

const std::vector<Frame>& Session::State::symbolize(Address pc, bool exact) {
  const auto key = std::pair(pc, exact);
  const auto found = levels.find(key);
  if (found != levels.end()) return found->second;
  auto frames = symbolizer().symbolize(pc, exact);
  finish(frames);
  return levels.emplace(key, std::move(frames)).first->second;
}

Address Session::State::stack_pointer(const Stack& stack, const Unwinding& walk) {
  for (const auto& frame : walk.frames) {
    if (frame.cfa <= stack.lo || frame.cfa > stack.hi) continue;
    return frame.sp >= stack.lo && frame.sp <= stack.hi ? frame.sp : frame.cfa;
  }
  return 0;
}

void Session::State::find_stack_pointer(Goroutine& goroutine, const Unwinding& walk) {
  auto& stack = goroutine.stack;
  if (stack.sp != 0 || stack.segments.empty()) return;
  stack.sp = stack_pointer(stack, walk);
  stack.segments.front().sp = stack.sp;
  measure(stack);
}

const Frame* Session::State::inner_user_frame(const Unwinding& walk) {
  const Frame* named = nullptr;
  for (const auto& frame : walk.frames) {
    const auto* user = innermost_user_frame(symbolize(frame.pc, frame.exact_pc));
    if (user == nullptr) continue;
    if (!is_system_frame(*user)) return user;
    if (named == nullptr) named = user;
  }
  return named;
}

const Frame* Session::State::outer_user_frame(const Unwinding& walk) {
  const Frame* named = nullptr;
  for (auto frame = walk.frames.rbegin(); frame != walk.frames.rend(); ++frame) {
    const auto* user = outermost_user_frame(symbolize(frame->pc, frame->exact_pc));
    if (user == nullptr) continue;
    if (!is_system_frame(*user)) return user;
    if (named == nullptr) named = user;
  }
  return named;
}

void Session::State::place(Goroutine& goroutine, const Frame* frame, const Unwinding& walk) {
  if (frame == nullptr && walk.complete && goroutine.entry_pc != 0)
    frame = innermost_user_frame(symbolize(goroutine.entry_pc, true));
  if (frame == nullptr) return;
  goroutine.function = frame->function;
  goroutine.file = frame->file;
  goroutine.line = frame->line;
}

void Session::State::finish(std::vector<Frame>& frames) {
  for (auto& frame : frames) {
    frame.runtime = is_runtime_frame(frame, runtime_symbols());
    for (auto* text : {&frame.function, &frame.symbol, &frame.args, &frame.file, &frame.module}) *text = printable(*text);
  }
}

}  // namespace stacktide
