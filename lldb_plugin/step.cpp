#include "step.h"

#include <fmt/format.h>

#include <algorithm>

#include "host_modules.h"
#include "host_target.h"

namespace stacktide::lldb_plugin {
namespace {

// Of the plugin's own breakpoints, which stop nothing for the user: their names begin so.
constexpr std::string_view kOwnName = "stacktide";

// Resuming waits for the stop while one lives.
class Synchronous {
 public:
  explicit Synchronous(lldb::SBDebugger& debugger) : debugger_(debugger), before_(debugger.GetAsync()) {
    debugger_.SetAsync(false);
  }
  ~Synchronous() { debugger_.SetAsync(before_); }
  Synchronous(const Synchronous&) = delete;
  Synchronous& operator=(const Synchronous&) = delete;

 private:
  lldb::SBDebugger& debugger_;
  bool before_;
};

std::string text_of(lldb::SBStream& stream) {
  return stream.GetData() != nullptr ? std::string(stream.GetData(), stream.GetSize()) : std::string();
}

// In how many inlined functions a frame's place is; `frame` becomes the machine frame around them.
std::size_t leave_inlined(lldb::SBThread& thread, lldb::SBFrame& frame) {
  std::size_t inlined = 0;
  while (frame.IsValid() && frame.IsInlined()) {
    ++inlined;
    frame = thread.GetFrameAtIndex(frame.GetFrameID() + 1);
  }
  return inlined;
}

// LLDB shows a place at the first instruction of an inlined function as in it; a step that has not entered it is at its
// call.
void show_level(lldb::SBThread& thread, std::size_t inlined) {
  lldb::SBFrame frame = thread.GetFrameAtIndex(0);
  const std::size_t all = leave_inlined(thread, frame);
  if (inlined < all) thread.SetSelectedFrame(static_cast<std::uint32_t>(all - inlined));
}

// LLDB's own words for the thread, but for the reason: the breakpoint that it names is not there any more.
std::string describe(lldb::SBThread& thread, std::string_view reason) {
  lldb::SBStream stream;
  thread.GetStatus(stream);
  std::string text = text_of(stream);
  constexpr std::string_view kReason = "stop reason = ";
  if (const auto at = text.find(kReason); at != std::string::npos) {
    const auto from = at + kReason.size();
    text.replace(from, text.find('\n', from) - from, reason);
  }
  return text;
}

// "Return value: (int) 42": of a function that has just returned, where the calling convention puts it; "" where that is not
// certain.
std::string returned_value(lldb::SBThread& thread, lldb::SBType type) {
  lldb::SBType plain = type.GetCanonicalType();
  const std::uint64_t size = plain.IsValid() ? plain.GetByteSize() : 0;
  if (size == 0 || size > 8) return "";
  constexpr std::uint32_t kScalar =
      lldb::eTypeIsScalar | lldb::eTypeIsPointer | lldb::eTypeIsReference | lldb::eTypeIsEnumeration;
  if ((plain.GetTypeFlags() & kScalar) == 0) return "";
  const bool floating = (plain.GetTypeFlags() & lldb::eTypeIsFloat) != 0;
  lldb::SBValue reg = thread.GetFrameAtIndex(0).FindRegister(floating ? "xmm0" : "rax");
  lldb::SBError error;
  lldb::SBData data = reg.GetData();
  std::uint8_t bytes[8] = {};
  if (!reg.IsValid() || data.ReadRawData(error, 0, bytes, size) != size || error.Fail()) return "";
  data.SetData(error, bytes, size, lldb::eByteOrderLittle, 8);
  lldb::SBValue value = thread.GetProcess().GetTarget().CreateValueFromData("returned", data, type);
  const char* shown = value.GetSummary() != nullptr ? value.GetSummary() : value.GetValue();
  if (shown == nullptr) return "";
  return fmt::format("Return value: ({}) {}\n", type.GetName(), shown);
}

}  // namespace

bool Stepper::is_ours(lldb::break_id_t id) const {
  return std::ranges::any_of(breakpoints_, [id](lldb::SBBreakpoint breakpoint) { return breakpoint.GetID() == id; });
}

void Stepper::add_breakpoints(const Step& step) {
  lldb::SBTarget& target = state_.target();
  for (const Address address : step.breakpoints()) {
    if (std::ranges::find(set_at_, address) != set_at_.end()) continue;
    set_at_.push_back(address);
    lldb::SBBreakpoint breakpoint = target.BreakpointCreateByAddress(address);
    breakpoint.AddName("stacktide-step");
    breakpoints_.push_back(breakpoint);
  }
}

void Stepper::count_hits() {
  lldb::SBTarget& target = state_.target();
  for (std::uint32_t i = 0; i < target.GetNumBreakpoints(); ++i) {
    lldb::SBBreakpoint breakpoint = target.GetBreakpointAtIndex(i);
    hits_[breakpoint.GetID()] = breakpoint.GetHitCount();
  }
}

Result<Step> Stepper::plan(lldb::SBProcess& process, StepKind kind) {
  if (is_core(process)) return fail(ErrorCode::not_supported, "a core does not run: there is nothing to step");
  session_.emplace(std::make_unique<HostTarget>(state_.target(), process, HostTargetOptions{.threads = false}));
  lldb::SBThread thread = process.GetSelectedThread();
  if (!thread.IsValid()) return fail(ErrorCode::not_supported, "no thread is selected");
  const std::uint64_t tid = thread.GetThreadID();
  Goroutine goroutine;
  Registers registers;
  StepFrame where;
  if (is_goroutine_tid(tid)) {
    Session* session = STACKTIDE_TRY(state_.session());
    goroutine = *STACKTIDE_TRY(session->goroutine(goroutine_of_tid(tid)));
    registers = goroutine.registers;
  } else {
    auto running = STACKTIDE_TRY(session_->running_on(tid));
    if (!running) {
      return fail(ErrorCode::no_such_goroutine,
                  fmt::format("thread {} runs none: use LLDB's own {}", tid, kind == StepKind::next ? "next" : "finish"));
    }
    goroutine = std::move(*running);
    registers = registers_of(thread);
  }
  if (kind == StepKind::finish) {
    lldb::SBFrame frame = thread.GetSelectedFrame();
    where.inlined = leave_inlined(thread, frame);
    where.cfa = frame.GetCFA();
  } else if (!is_goroutine_tid(tid)) {
    // From the level that is shown, as long as it is one of the innermost machine frame.
    lldb::SBFrame innermost = thread.GetFrameAtIndex(0);
    lldb::SBFrame selected = thread.GetSelectedFrame();
    const std::size_t all = leave_inlined(thread, innermost);
    where.inlined = leave_inlined(thread, selected);
    if (selected.GetFrameID() != innermost.GetFrameID()) where.inlined = all;
  }
  return Step::plan(*session_, kind, goroutine, registers, where);
}

// Whether the thread stopped for a reason that the user knows of.
bool Stepper::is_users(lldb::SBThread& thread) {
  switch (thread.GetStopReason()) {
    case lldb::eStopReasonInvalid:
    case lldb::eStopReasonNone:
    case lldb::eStopReasonTrace:  // LLDB's own, over a breakpoint, when another thread stopped
    case lldb::eStopReasonPlanComplete:
      return false;
    case lldb::eStopReasonSignal:
      return thread.GetProcess().GetUnixSignals().GetShouldStop(
          static_cast<std::int32_t>(thread.GetStopReasonDataAtIndex(0)));
    case lldb::eStopReasonBreakpoint:
      break;
    default:
      return true;
  }
  if (thread.GetStopReasonDataCount() == 0) return true;  // gone with its hit: a one-shot breakpoint
  // Pairs of a breakpoint and its location.
  for (std::size_t i = 0; i + 1 < thread.GetStopReasonDataCount(); i += 2) {
    const auto id = static_cast<lldb::break_id_t>(thread.GetStopReasonDataAtIndex(static_cast<std::uint32_t>(i)));
    if (is_ours(id)) continue;
    lldb::SBBreakpoint breakpoint = state_.target().FindBreakpointByID(id);
    if (id > 0 && !breakpoint.IsValid()) return true;
    if (!breakpoint.IsValid()) continue;  // LLDB's own
    // Where it shares its place with one of ours, its condition may not have held: such a hit is not counted.
    const auto before = hits_.find(id);
    if (before != hits_.end() && breakpoint.GetHitCount() == before->second) continue;
    lldb::SBStringList names;
    breakpoint.GetNames(names);
    bool own = false;
    for (std::uint32_t n = 0; n < names.GetSize(); ++n)
      own = own || std::string_view(names.GetStringAtIndex(n)).starts_with(kOwnName);
    if (!own) return true;
  }
  return false;
}

Result<std::optional<Stepper::End>> Stepper::judge(lldb::SBProcess& process, Step& step, bool& users_own, bool& more) {
  bool at_ours = false;
  for (std::uint32_t i = 0, count = process.GetNumThreads(); i < count; ++i) {
    lldb::SBThread thread = process.GetThreadAtIndex(i);
    if (is_goroutine_tid(thread.GetThreadID())) continue;
    if (is_users(thread)) users_own = true;
    if (std::ranges::find(set_at_, thread.GetFrameAtIndex(0).GetPC()) == set_at_.end()) continue;
    at_ours = true;
    const auto goroutine = STACKTIDE_TRY(session_->running_on(thread.GetThreadID()));
    if (!goroutine || goroutine->id != step.goroutine()) continue;
    switch (step.ends(*session_, *goroutine, registers_of(thread))) {
      case Step::Verdict::go_on:
        break;
      case Step::Verdict::more:
        more = true;
        break;
      case Step::Verdict::stop:
        return End{thread, false};
      case Step::Verdict::returned:
        return End{thread, true};
    }
  }
  if (!at_ours) users_own = true;  // also what LLDB tells no reason of, as a trace that was asked to stop
  return std::nullopt;
}

Result<std::optional<Stepper::End>> Stepper::run(lldb::SBProcess& process, Step& step) {
  Synchronous synchronous(debugger_);
  struct Cleaner {
    Stepper& stepper;
    ~Cleaner() {
      for (lldb::SBBreakpoint& breakpoint : stepper.breakpoints_)
        stepper.state_.target().BreakpointDelete(breakpoint.GetID());
      stepper.breakpoints_.clear();
      stepper.set_at_.clear();
    }
  } cleaner{*this};
  while (true) {
    add_breakpoints(step);
    count_hits();
    if (lldb::SBError error = process.Continue(); error.Fail())
      return fail(ErrorCode::not_supported, error.GetCString() != nullptr ? error.GetCString() : "the process does not run");
    if (!is_readable(process)) return std::nullopt;
    bool users_own = false;
    bool more = false;
    auto end = STACKTIDE_TRY(judge(process, step, users_own, more));
    if (users_own || end) return users_own ? std::nullopt : end;
  }
}

// What LLDB prints of a stop that is not ours.
std::string Stepper::other_stop(lldb::SBProcess& process) {
  if (!is_readable(process)) {
    if (process.GetState() != lldb::eStateExited) return "the process is gone\n";
    return fmt::format("Process {} exited with status = {} ({:#010x})\n", process.GetProcessID(), process.GetExitStatus(),
                       process.GetExitStatus());
  }
  std::string text = fmt::format("Process {} stopped\n", process.GetProcessID());
  for (std::uint32_t i = 0, count = process.GetNumThreads(); i < count; ++i) {
    lldb::SBThread thread = process.GetThreadAtIndex(i);
    if (!is_users(thread)) continue;
    process.SetSelectedThread(thread);
    lldb::SBStream stream;
    thread.GetStatus(stream);
    return text + text_of(stream);
  }
  return text;
}

Result<std::string> Stepper::next(std::uint64_t count) {
  lldb::SBProcess process = STACKTIDE_TRY(state_.process());
  std::optional<End> end;
  for (std::uint64_t i = 0; i < count; ++i) {
    Step step = STACKTIDE_TRY(plan(process, StepKind::next));
    end = STACKTIDE_TRY(run(process, step));
    if (!end) return other_stop(process);
    process.SetSelectedThread(end->thread);
    if (step.inlined()) show_level(end->thread, *step.inlined());
  }
  return describe(end->thread, "goroutine next");
}

Result<std::string> Stepper::finish() {
  lldb::SBProcess process = STACKTIDE_TRY(state_.process());
  lldb::SBType type = process.GetSelectedThread().GetSelectedFrame().GetFunction().GetType().GetFunctionReturnType();
  Step step = STACKTIDE_TRY(plan(process, StepKind::finish));
  auto end = STACKTIDE_TRY(run(process, step));
  if (!end) return other_stop(process);
  process.SetSelectedThread(end->thread);
  if (step.inlined()) show_level(end->thread, *step.inlined());
  std::string text = describe(end->thread, "goroutine finish");
  if (end->returned && type.IsValid()) text += returned_value(end->thread, type);
  return text;
}

}  // namespace stacktide::lldb_plugin
