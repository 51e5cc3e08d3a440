#include "target_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "host_target.h"

namespace stacktide::lldb_plugin {

TargetState::TargetState(lldb::SBDebugger debugger, lldb::SBTarget target)
    : debugger_(debugger), target_(target), threads_([this] { return list_threads(); }), trace_(debugger, target) {}

Result<lldb::SBProcess> TargetState::process() {
  lldb::SBProcess process = target_.GetProcess();
  if (!process.IsValid() || process.GetState() == lldb::eStateExited || process.GetState() == lldb::eStateUnloaded ||
      process.GetState() == lldb::eStateDetached || process.GetState() == lldb::eStateInvalid) {
    return fail(ErrorCode::not_supported, "there is no process: start one with `run`, attach to one, or open a core");
  }
  if (!is_readable(process))
    return fail(ErrorCode::not_supported, "the process is running: stop it first (`process interrupt`)");
  return process;
}

void TargetState::forget_stop() {
  session_.reset();
  kept_.clear();
}

Result<Session*> TargetState::session() {
  lldb::SBProcess process = STACKTIDE_TRY(this->process());
  if (session_ != nullptr && process_id_ == process.GetUniqueID() && stop_id_ == process.GetStopID()) return session_.get();
  forget_stop();
  if (process_id_ != process.GetUniqueID()) {
    previous_thread = 0;
    std::lock_guard lock(names_mutex_);
    names_.clear();
  }
  process.GetNumThreads();  // lets LLDB settle its thread list, and with it the stop
  process_id_ = process.GetUniqueID();
  stop_id_ = process.GetStopID();
  session_ = std::make_unique<Session>(std::make_unique<HostTarget>(target_, process, HostTargetOptions{}));
  return session_.get();
}

// Thousands of goroutines are at each stop what they were at the one before: the entry, for which the whole stack is
// unwound, is found once. No lock is held over a look at the target.
std::optional<ThreadRecord> TargetState::record_of(Session& session, Goroutine& goroutine) {
  ThreadRecord record;
  if (goroutine.registers_live) return std::nullopt;
  for (Register reg : {Register::rip, Register::rsp, Register::rbp, Register::rbx, Register::r12, Register::r13,
                       Register::r14, Register::r15}) {
    auto value = goroutine.registers.get(reg);
    if (!value) break;
    record.registers[record.register_count++] = *value;
  }
  if (record.register_count < 2 || goroutine.id >= kGoroutineTid) return std::nullopt;
  std::string entry;
  {
    std::lock_guard lock(names_mutex_);
    if (auto known = names_.find(goroutine.id); known != names_.end()) entry = known->second.entry;
  }
  std::string name = entry.empty() ? session.thread_name(goroutine) : Session::thread_name(goroutine, entry);
  if (entry.empty()) entry = goroutine.entry;
  name.resize(std::min(name.size(), sizeof record.name - 1));
  std::ranges::copy(name, record.name);
  std::lock_guard lock(names_mutex_);
  auto [found, is_new] = names_.try_emplace(goroutine.id, Named{name, entry, 0});
  if (!is_new && found->second.name != name) {
    found->second.name = std::move(name);
    ++found->second.generation;
  }
  record.tid = kGoroutineTid * (1 + found->second.generation) + goroutine.id;
  return record;
}

// Once, and again after there was room for all: at each stop it would be noise.
void TargetState::tell_left_out(std::uint64_t shown, std::uint64_t left_out) {
  if (left_out == 0) told_left_out_ = false;
  if (left_out == 0 || told_left_out_.exchange(true)) return;
  std::string line = fmt::format("{} goroutines are threads; {} more are not: `goroutine threads on {}`\n", shown, left_out,
                                 shown + left_out);
  lldb::SBFile out = debugger_.GetOutputFile();
  std::size_t written = 0;
  out.Write(reinterpret_cast<const std::uint8_t*>(line.data()), line.size(), &written);
  out.Flush();
}

void TargetState::forget_ended(Snapshot& snapshot) {
  std::lock_guard lock(names_mutex_);
  if (names_.size() > 2 * snapshot.goroutines.size() + 1000)
    std::erase_if(names_, [&](const auto& known) { return snapshot.find(known.first) == nullptr; });
}

Result<lldb::SBThread> TargetState::thread_of(Goroutine& goroutine) {
  Session* session = STACKTIDE_TRY(this->session());
  lldb::SBProcess process = STACKTIDE_TRY(this->process());
  if (goroutine.tid != 0) {
    lldb::SBThread thread = process.GetThreadByID(goroutine.tid);
    if (thread.IsValid()) return thread;
    return fail(ErrorCode::damaged_data,
                fmt::format("goroutine {} runs on thread {}, which LLDB does not show", goroutine.id, goroutine.tid));
  }
  auto record = record_of(*session, goroutine);
  if (!record) {
    return fail(ErrorCode::damaged_data,
                fmt::format("goroutine {} [{}] has no saved context to unwind from", goroutine.id, goroutine.status));
  }
  STACKTIDE_TRY(threads_.load(debugger_, process));
  return threads_.add(process, *record);
}

Result<TargetState::ThreadCounts> TargetState::threads_on(std::uint64_t limit) {
  Session* session = STACKTIDE_TRY(this->session());
  auto snapshot = session->snapshot();
  const bool started = snapshot || snapshot.error().code != ErrorCode::not_started;
  if (!snapshot && started) return std::unexpected(snapshot.error());
  lldb::SBProcess process = STACKTIDE_TRY(this->process());
  STACKTIDE_TRY(threads_.load(debugger_, process));
  on_process_ = process.GetUniqueID();
  limit_ = limit;
  ThreadCounts counts;
  counts.started = started;
  if (!started) return counts;
  for (Goroutine& goroutine : (*snapshot)->goroutines) {
    if (goroutine.tid != 0) {
      ++counts.running;
    } else if (counts.added >= limit) {
      ++counts.left_out;
    } else if (auto record = record_of(*session, goroutine); !record) {
      ++counts.without;
    } else {
      STACKTIDE_TRY(threads_.add(process, *record));
      ++counts.added;
    }
  }
  told_left_out_ = counts.left_out != 0;  // by the caller
  return counts;
}

void TargetState::threads_off() {
  limit_ = 0;
  kept_.clear();
  lldb::SBProcess process = target_.GetProcess();
  if (is_readable(process)) threads_.unload(debugger_, process);
}

void TargetState::drop_unkept_threads() {
  auto process = this->process();
  auto session = this->session();
  if (limit_ != 0 || !process || !session) return;
  threads_.unload(debugger_, *process);
  for (std::uint64_t id : kept_) {
    if (auto goroutine = (*session)->goroutine(id)) (void)thread_of(**goroutine);
  }
}

// A session of its own: the one of commands may be in use on another thread, and LLDB's thread list is being made, so this
// one asks for no threads.
std::vector<ThreadRecord> TargetState::list_threads() try {
  std::vector<ThreadRecord> records;
  std::uint64_t left_out = 0;
  lldb::SBProcess process = target_.GetProcess();
  std::uint64_t limit = limit_;
  if (limit == 0 || !process.IsValid() || on_process_ != process.GetUniqueID()) return records;
  Session session(std::make_unique<HostTarget>(target_, process, HostTargetOptions{.threads = false}));
  auto snapshot = session.snapshot();
  if (!snapshot) return records;
  for (Goroutine& goroutine : (*snapshot)->goroutines) {
    if (goroutine.tid != 0) continue;
    if (records.size() >= limit) {
      ++left_out;
    } else if (auto record = record_of(session, goroutine)) {
      records.push_back(*record);
    }
  }
  forget_ended(**snapshot);
  tell_left_out(records.size(), left_out);
  return records;
} catch (...) {
  return {};  // LLDB is the caller, by way of Python: nothing may leave
}

Result<TargetState*> Targets::selected() {
  std::erase_if(states_, [](const auto& state) { return !state->is_valid(); });
  lldb::SBTarget target = debugger_.GetSelectedTarget();
  if (!target.IsValid()) {
    return fail(ErrorCode::not_supported,
                "there is no target: `target create PROGRAM`, `process attach`, or `target create -c CORE`");
  }
  auto found = std::ranges::find_if(states_, [&](const auto& state) { return state->is_of(target); });
  if (found == states_.end()) found = states_.insert(found, std::make_unique<TargetState>(debugger_, target));
  return found->get();
}

}  // namespace stacktide::lldb_plugin
