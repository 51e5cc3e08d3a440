#include "host_target.h"

#include <fmt/format.h>

#include <ctime>

#include "goroutine_threads.h"
#include "host_modules.h"

namespace stacktide::lldb_plugin {
namespace {

constexpr Address kPage = 4096;  // reads are split here; larger pages only mean more steps

constexpr std::array<const char*, kRegisterCount> kRegisterNames = {
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip"};

std::string text(const char* value) { return value != nullptr ? value : ""; }

}  // namespace

Registers registers_of(lldb::SBThread& thread) {
  Registers registers;
  lldb::SBFrame frame = thread.GetFrameAtIndex(0);
  for (std::size_t i = 0; i < kRegisterCount; ++i) {
    lldb::SBValue value = frame.FindRegister(kRegisterNames[i]);
    lldb::SBError error;
    std::uint64_t number = value.GetValueAsUnsigned(error, 0);
    if (value.IsValid() && error.Success()) registers.set(static_cast<Register>(i), number);
  }
  return registers;
}

std::size_t HostMemory::read_up_to(Address address, std::span<std::byte> out) {
  std::size_t done = 0;
  // First all at once; whatever is missing then, page by page, until one gives nothing.
  std::size_t step = out.size();
  while (done < out.size()) {
    lldb::SBError error;
    std::size_t got = process_.ReadMemory(address + done, out.data() + done, step, error);
    if (got > step) got = 0;  // LLDB broke its own rule
    done += got;
    bool whole = got == step;
    if (!whole && step <= kPage && got == 0) break;
    Address next = address + done;
    std::size_t to_page_end = kPage - static_cast<std::size_t>(next % kPage);
    step = std::min(out.size() - done, to_page_end);
  }
  return done;
}

HostTarget::HostTarget(lldb::SBTarget target, lldb::SBProcess process, const HostTargetOptions& options)
    : target_(target), process_(process), options_(options), memory_(process) {}

std::string HostTarget::description() const {
  lldb::SBTarget target = target_;
  lldb::SBProcess process = process_;
  std::string path(4096, '\0');
  path.resize(target.GetExecutable().GetPath(path.data(), path.size()));
  std::string of = path.empty() ? "" : fmt::format(" ({})", path);
  if (is_core(process)) return fmt::format("core of process {}{}", process.GetProcessID(), of);
  return fmt::format("process {}{}", process.GetProcessID(), of);
}

std::uint64_t HostTarget::pid() const {
  lldb::SBProcess process = process_;
  return process.GetProcessID();
}

void HostTarget::find_modules() const {
  if (found_) return;
  HostMemory memory(process_);
  ModuleSearch search = find_host_modules(target_, process_, memory);
  found_ = Found{std::move(search.modules), std::move(search.damage), search.local};
}

const std::vector<Module>& HostTarget::modules() {
  find_modules();
  return found_->modules;
}

std::vector<std::string> HostTarget::damage() const {
  find_modules();
  return found_->damage;
}

std::uint64_t HostTarget::local_pid() const {
  find_modules();
  return found_->local ? pid() : 0;
}

std::string HostTarget::core_file() const {
  lldb::SBProcess process = process_;
  return is_core(process) ? core_path(process) : "";
}

std::optional<std::int64_t> HostTarget::now() const {
  find_modules();
  std::timespec time{};
  if (!found_->local || ::clock_gettime(CLOCK_MONOTONIC, &time) != 0) return std::nullopt;
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

Result<std::vector<Thread>> HostTarget::threads() {
  std::vector<Thread> threads;
  if (!options_.threads) return threads;
  for (std::uint32_t i = 0, count = process_.GetNumThreads(); i < count; ++i) {
    lldb::SBThread thread = process_.GetThreadAtIndex(i);
    if (!thread.IsValid() || is_goroutine_tid(thread.GetThreadID())) continue;
    threads.push_back({.tid = thread.GetThreadID(), .name = text(thread.GetName()), .registers = registers_of(thread)});
  }
  if (threads.empty()) return fail(ErrorCode::damaged_data, "LLDB shows no thread of the process");
  return threads;
}

bool is_readable(lldb::SBProcess& process) {
  if (!process.IsValid()) return false;
  lldb::StateType state = process.GetState();
  return state == lldb::eStateStopped || state == lldb::eStateCrashed || state == lldb::eStateSuspended;
}

}  // namespace stacktide::lldb_plugin
