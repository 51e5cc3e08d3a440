#include "event_trace.h"

#include <fmt/format.h>

#include <exception>
#include <sstream>

#include "host_modules.h"
#include "host_target.h"

namespace stacktide::lldb_plugin {
namespace {

// STACKTIDE_EVENT_HOOK of the ABI, which front ends do not see.
constexpr const char* kEventHook = "stacktide_stack_event";

// The function's first instruction, from LLDB's symbols: before the program runs, too.
lldb::SBAddress find_hook(lldb::SBTarget& target) {
  lldb::SBSymbolContextList found = target.FindSymbols(kEventHook, lldb::eSymbolTypeCode);
  for (std::uint32_t i = 0; i < found.GetSize(); ++i) {
    lldb::SBAddress start = found.GetContextAtIndex(i).GetSymbol().GetStartAddress();
    if (start.IsValid()) return start;
  }
  return {};
}

Result<std::uint64_t> argument(lldb::SBThread& thread, const char* name) {
  lldb::SBValue value = thread.GetFrameAtIndex(0).FindRegister(name);
  lldb::SBError error;
  std::uint64_t number = value.GetValueAsUnsigned(error, 0);
  if (!value.IsValid() || error.Fail())
    return fail(ErrorCode::damaged_data, fmt::format("a stack event without its {}", name));
  return number;
}

}  // namespace

EventTrace::~EventTrace() {
  if (is_on()) target_.BreakpointDelete(breakpoint_.GetID());
}

bool EventTrace::is_on() const { return breakpoint_.IsValid(); }

Result<std::string> EventTrace::on() {
  lldb::SBProcess process = target_.GetProcess();
  if (process.IsValid() && is_core(process)) {
    return fail(ErrorCode::not_supported, "a core does not run: goroutine history shows its last stack events");
  }
  if (is_on()) return "tracing stack events already";
  lldb::SBAddress start = find_hook(target_);
  if (!start.IsValid() && is_readable(process)) {
    // Without LLDB's symbols core may still find it.
    Address hook = STACKTIDE_TRY(session(process).event_hook());
    start = target_.ResolveLoadAddress(hook);
  }
  if (!start.IsValid()) {
    return fail(ErrorCode::no_symbols,
                fmt::format("no function {}: a program without the runtime, or a stripped one", kEventHook));
  }
  breakpoint_ = target_.BreakpointCreateBySBAddress(start);
  if (!breakpoint_.IsValid())
    return fail(ErrorCode::not_supported, fmt::format("LLDB sets no breakpoint at {}", kEventHook));
  breakpoint_.AddName("stacktide-trace");
  breakpoint_.SetCallback(&EventTrace::hit, this);
  std::lock_guard lock(seen_mutex_);
  lines_.clear();
  totals_.clear();
  seen_ = 0;
  unreadable_ = 0;
  return process.IsValid() ? "tracing stack events" : "tracing stack events once the program runs";
}

void EventTrace::off() {
  if (is_on()) target_.BreakpointDelete(breakpoint_.GetID());
  breakpoint_ = {};
  session_.reset();
}

Session& EventTrace::session(lldb::SBProcess& process) {
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
  auto& trace = *static_cast<EventTrace*>(self);
  try {
    trace.event(process, thread);
  } catch (...) {
    std::lock_guard lock(trace.seen_mutex_);
    ++trace.seen_;
    ++trace.unreadable_;
  }
  return false;  // go on
}

Result<std::string> EventTrace::describe_event(lldb::SBProcess& process, lldb::SBThread& thread) {
  std::uint64_t record = STACKTIDE_TRY(argument(thread, "rdi"));
  std::uint64_t caller = STACKTIDE_TRY(argument(thread, "rsi"));
  return session(process).describe_event(record, caller);
}

void EventTrace::event(lldb::SBProcess& process, lldb::SBThread& thread) {
  Result<std::string> line = describe_event(process, thread);
  std::string text = line ? *line : "error: stacktide: " + describe(line.error());
  {
    std::lock_guard lock(seen_mutex_);
    ++seen_;
    // "goroutine 7 grew ...": core's own verb is what is counted.
    std::istringstream words(text);
    std::string skipped;
    std::string verb;
    if (line && words >> skipped >> skipped >> verb) {
      ++totals_[verb];
    } else {
      ++unreadable_;
    }
    lines_.push_back(text);
    if (lines_.size() > kKept) lines_.pop_front();
  }
  print(text + "\n");
}

void EventTrace::print(const std::string& line) {
  lldb::SBFile out = debugger_.GetOutputFile();
  std::size_t written = 0;
  out.Write(reinterpret_cast<const std::uint8_t*>(line.data()), line.size(), &written);
  out.Flush();
}

std::string EventTrace::show() const {
  std::lock_guard lock(seen_mutex_);
  std::string text;
  if (seen_ > lines_.size()) {
    text += fmt::format("(the first {} are counted below but not kept)\n", seen_ - lines_.size());
  }
  for (const std::string& line : lines_) text += line + "\n";
  text += fmt::format("{} stack {}", seen_, seen_ == 1 ? "event" : "events");
  const char* before = ": ";
  for (const auto& [verb, count] : totals_) {
    text += fmt::format("{}{} {}", before, count, verb);
    before = ", ";
  }
  if (unreadable_ != 0) text += fmt::format("{}{} could not be read", before, unreadable_);
  return text + fmt::format("; tracing is {}\n", is_on() ? "on" : "off");
}

}  // namespace stacktide::lldb_plugin
