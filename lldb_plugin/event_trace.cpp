#include "event_trace.h"

#include <fmt/format.h>

#include <exception>
#include <string_view>

#include "host_modules.h"
#include "host_target.h"

namespace stacktide::lldb_plugin {

EventTrace::~EventTrace() {
  if (is_on()) target_.BreakpointDelete(breakpoint_.GetID());
}

Result<std::string> EventTrace::run(const std::vector<std::string>& words, const CommandOptions& options) {
  std::lock_guard lock(mutex_);
  const std::string verb = words.empty() ? "" : words.front();
  const std::vector<std::string> rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (verb == "on") {
    std::string text = STACKTIDE_TRY(on(rest));
    return text + "\n";
  }
  if (verb == "off" && rest.empty()) {
    std::string text = collect();
    off();
    return text;
  }
  if (verb == "collect" && rest.empty()) return collect();
  if (verb == "show") {
    std::string text = collect();
    const Trace none = STACKTIDE_TRY(Trace::make({}));
    CommandResult shown = (trace_ != nullptr ? *trace_ : none).show(rest, options, is_on());
    if (shown.exit_code == 0) return text + shown.out;
    while (shown.err.ends_with('\n')) shown.err.pop_back();
    return fail(ErrorCode::not_supported, shown.err);
  }
  if (verb == "check") {
    std::string text = collect();
    if (trace_ == nullptr) return fail(ErrorCode::not_supported, "nothing was traced: goroutine trace on --quiet, then run");
    CommandResult checked = trace_->check(rest, options, target_.GetProcess().GetProcessID());
    text += checked.out;
    if (checked.exit_code == 0) return text;
    while (checked.err.ends_with('\n')) checked.err.pop_back();
    // An error, so that `lldb --batch` ends with status 1; what was found stands before it.
    print(text);
    return fail(ErrorCode::not_supported, checked.err);
  }
  return fail(ErrorCode::usage, fmt::format("usage: {}", trace_usage()));
}

// The function's first instruction, from LLDB's symbols: before the program runs, too. Without them core may still find it.
lldb::SBAddress EventTrace::find_hook(const TraceHook& hook) {
  lldb::SBSymbolContextList found = target_.FindSymbols(std::string(hook.name).c_str(), lldb::eSymbolTypeCode);
  for (std::uint32_t i = 0; i < found.GetSize(); ++i) {
    lldb::SBAddress start = found.GetContextAtIndex(i).GetSymbol().GetStartAddress();
    if (start.IsValid()) return start;
  }
  lldb::SBProcess process = target_.GetProcess();
  if (!is_readable(process)) return {};
  auto address = Trace::find_hook(session(process), hook);
  return address ? target_.ResolveLoadAddress(*address) : lldb::SBAddress();
}

Result<void> EventTrace::set_breakpoint(Trace& trace) {
  for (const TraceHook& hook : {pending_hook(), event_hook()}) {
    if (trace.per_event() && !hook.per_event) continue;
    lldb::SBAddress start = find_hook(hook);
    if (!start.IsValid()) continue;
    if (hook.per_event) trace.use_event_hook();
    breakpoint_ = target_.BreakpointCreateBySBAddress(start);
    if (!breakpoint_.IsValid())
      return fail(ErrorCode::not_supported, fmt::format("LLDB sets no breakpoint at {}", hook.name));
    breakpoint_.AddName("stacktide-trace");
    breakpoint_.SetCallback(&EventTrace::hit, this);
    return {};
  }
  return fail(ErrorCode::no_symbols,
              fmt::format("no function {}: a program without the runtime, or a stripped one", pending_hook().name));
}

Result<std::string> EventTrace::on(const std::vector<std::string>& words) {
  lldb::SBProcess process = target_.GetProcess();
  if (process.IsValid() && is_core(process)) {
    return fail(ErrorCode::not_supported, "a core does not run: goroutine history shows its last stack events");
  }
  if (is_on() && words == words_) return "tracing stack events already";
  auto made = Trace::make(words);  // wrong options leave the old one alone
  if (!made) return std::unexpected(made.error());
  auto trace = std::make_unique<Trace>(std::move(*made));
  off();
  STACKTIDE_TRY(set_breakpoint(*trace));
  trace_ = std::move(trace);
  words_ = words;
  problem_.clear();
  if (is_readable(process)) trace_->skip(session(process));
  add_stop_hook();
  return process.IsValid() ? "tracing stack events" : "tracing stack events once the program runs";
}

void EventTrace::off() {
  if (is_on()) target_.BreakpointDelete(breakpoint_.GetID());
  delete_stop_hook();
  breakpoint_ = {};
  session_.reset();
}

// Stop hooks belong to the selected target, which is ours while its command runs.
void EventTrace::add_stop_hook() {
  lldb::SBCommandReturnObject done;
  debugger_.GetCommandInterpreter().HandleCommand("target stop-hook add -o 'goroutine trace collect'", done);
  const std::string text = done.GetOutput() != nullptr ? done.GetOutput() : "";  // "Stop hook #1 added.\n"
  const auto at = text.find('#');
  if (!done.Succeeded() || at == std::string::npos) return;
  stop_hook_ = text.substr(at + 1, text.find_first_not_of("0123456789", at + 1) - at - 1);
}

void EventTrace::delete_stop_hook() {
  if (stop_hook_.empty()) return;
  lldb::SBCommandReturnObject done;
  debugger_.GetCommandInterpreter().HandleCommand(("target stop-hook delete " + stop_hook_).c_str(), done);
  stop_hook_.clear();
}

Session& EventTrace::session(lldb::SBProcess& process) {
  if (trace_ != nullptr && process_id_ != process.GetUniqueID()) trace_->restart();
  if (session_ == nullptr || process_id_ != process.GetUniqueID() || module_count_ != target_.GetNumModules()) {
    process_id_ = process.GetUniqueID();
    module_count_ = target_.GetNumModules();
    session_ =
        std::make_unique<Session>(std::make_unique<HostTarget>(target_, process, HostTargetOptions{.threads = false}));
  }
  return *session_;
}

bool EventTrace::hit(void* self, lldb::SBProcess& process, lldb::SBThread& thread,
                     lldb::SBBreakpointLocation& /*location*/) {
  try {
    auto& trace = *static_cast<EventTrace*>(self);
    std::lock_guard lock(trace.mutex_);
    return trace.at_hook(process, thread);
  } catch (...) {
    return false;  // go on
  }
}

bool EventTrace::at_hook(lldb::SBProcess& process, lldb::SBThread& thread) {
  if (trace_ == nullptr) return false;
  TraceStop stop{.at_hook = true, .event = 0, .caller = 0, .registers = {}};
  if (trace_->per_event()) {
    stop.registers = registers_of(thread);
    stop.event = stop.registers.get(Register::rdi).value_or(0);
    stop.caller = stop.registers.get(Register::rsi).value_or(0);
  }
  Result<TraceOutput> output = collect_from(process, stop);
  if (!output) return false;
  print(output->text);
  return output->stop;
}

Result<TraceOutput> EventTrace::collect_from(lldb::SBProcess& process, const TraceStop& stop) {
  Result<TraceOutput> output = trace_->collect(session(process), stop);
  if (output) return output;
  std::string problem = "error: stacktide: " + describe(output.error()) + "\n";
  if (problem != problem_) print(problem);
  problem_ = problem;
  return output;
}

std::string EventTrace::collect() {
  lldb::SBProcess process = target_.GetProcess();
  if (!is_on() || trace_ == nullptr || trace_->per_event() || !is_readable(process)) return "";
  Result<TraceOutput> output = collect_from(process, {});
  return output ? output->text : "";
}

void EventTrace::print(const std::string& text) {
  if (text.empty()) return;
  lldb::SBFile out = debugger_.GetOutputFile();
  std::size_t written = 0;
  out.Write(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), &written);
  out.Flush();
}

}  // namespace stacktide::lldb_plugin
