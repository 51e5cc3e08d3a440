#include "goroutine_threads.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <thread>

namespace stacktide::lldb_plugin {
namespace {

constexpr const char* kSetting = "target.process.python-os-plugin-path";
constexpr std::uint64_t kHandshake = 0xffffffffffff0001;  // HANDSHAKE in stacktide_lldb_os.py
constexpr std::uint64_t kVersion = 1;
constexpr auto kEventLimit = std::chrono::milliseconds(500);
constexpr const char* kScript = "stacktide_lldb_os.py";

// The script in ../python of a build tree, or where it was installed, which CMake gives relative to this shared object.
Result<std::string> script_path() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&script_path), &info) == 0 || info.dli_fname == nullptr) {
    return fail(ErrorCode::io_error, "the folder of stacktide_lldb.so is unknown");
  }
  std::error_code ignored;
  std::filesystem::path folder = std::filesystem::canonical(info.dli_fname, ignored).parent_path();
  std::string looked_in;
  for (const char* below : {"../python", STACKTIDE_PYTHON_FROM_LIB}) {
    std::filesystem::path script = (folder / below / kScript).lexically_normal();
    if (std::filesystem::exists(script, ignored)) return script.string();
    looked_in += (looked_in.empty() ? "" : " and ") + script.parent_path().string();
  }
  return fail(ErrorCode::io_error, fmt::format("{} is missing: looked in {}", kScript, looked_in));
}

// "lldb version 19.1.7"
std::string_view lldb_version() {
  const char* text = lldb::SBDebugger::GetVersionString();
  std::string_view version = text != nullptr ? text : "this LLDB";
  return version.substr(0, version.find('\n'));
}

std::string current_setting(lldb::SBDebugger& debugger) {
  lldb::SBStringList values = lldb::SBDebugger::GetInternalVariableValue(kSetting, debugger.GetInstanceName());
  const char* value = values.GetSize() > 0 ? values.GetStringAtIndex(0) : nullptr;
  std::string text = value != nullptr ? value : "";
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return text;
}

bool set_setting(lldb::SBDebugger& debugger, lldb::SBProcess& process, const std::string& path) {
  std::string command =
      path.empty() ? fmt::format("settings clear {}", kSetting) : fmt::format("settings set {} \"{}\"", kSetting, path);
  lldb::SBCommandReturnObject result;
  lldb::SBExecutionContext context(process);
  debugger.GetCommandInterpreter().HandleCommand(command.c_str(), context, result, false);
  return result.Succeeded();
}

// Waits until LLDB's event thread has handled all that was announced so far. `thread select` is announced to it and printed
// by it, with frames and registers; a goroutine's thread must not lose its OperatingSystem object meanwhile (LLDB 19
// crashes). The events are handled in order, so an event of our own that is no longer in the queue says that those before it
// are done.
void let_events_settle(lldb::SBDebugger& debugger) {
  constexpr std::uint32_t kMark = 1;
  lldb::SBListener listener = debugger.GetListener();
  lldb::SBBroadcaster broadcaster("stacktide.mark");
  if (listener.StartListeningForEvents(broadcaster, kMark) == 0) return;
  broadcaster.BroadcastEventByType(kMark);
  lldb::SBEvent event;
  auto deadline = std::chrono::steady_clock::now() + kEventLimit;
  while (listener.PeekAtNextEventForBroadcaster(broadcaster, event)) {
    if (std::chrono::steady_clock::now() >= deadline) {
      // Nobody handles events here, as in hosts with a loop of their own: take ours out again.
      listener.GetNextEventForBroadcaster(broadcaster, event);
      return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

// Puts the selected thread and frame back where they were, if they still exist.
class Selection {
 public:
  explicit Selection(lldb::SBProcess& process) : process_(process) {
    lldb::SBThread thread = process.GetSelectedThread();
    tid_ = thread.GetThreadID();
    frame_ = thread.GetSelectedFrame().GetFrameID();
  }
  Selection(const Selection&) = delete;
  Selection& operator=(const Selection&) = delete;
  ~Selection() {
    lldb::SBThread thread = process_.GetThreadByID(tid_);
    if (!thread.IsValid()) return;
    process_.SetSelectedThread(thread);
    thread.SetSelectedFrame(frame_);
  }

 private:
  lldb::SBProcess process_;
  lldb::tid_t tid_ = 0;
  std::uint32_t frame_ = 0;
};

}  // namespace

GoroutineThreads::GoroutineThreads(Lister list)
    : list_(std::move(list)),
      bridge_{
          .version = kVersion,
          .record_size = sizeof(ThreadRecord),
          .owner = this,
          .hello = [](void* owner) { static_cast<GoroutineThreads*>(owner)->greeted_ = true; },
          .list = [](void* owner, const ThreadRecord** records) -> std::uint64_t {
            auto& self = *static_cast<GoroutineThreads*>(owner);
            self.listed_ = self.list_();
            *records = self.listed_.data();
            return self.listed_.size();
          },
      } {}

Result<void> GoroutineThreads::load(lldb::SBDebugger& debugger, lldb::SBProcess& process) {
  std::string script = STACKTIDE_TRY(script_path());
  std::string set = current_setting(debugger);
  if (process_ == process.GetUniqueID() && set == script) return {};
  if (!set.empty() && set != script) {
    return fail(ErrorCode::not_supported, fmt::format("{} is {}: LLDB has room for one such class", kSetting, set));
  }
  let_events_settle(debugger);
  Selection selection(process);
  process_ = 0;
  greeted_ = false;
  // Set even when it was set before: the class may have been loaded by an older object of ours.
  if (!set_setting(debugger, process, script)) {
    return fail(ErrorCode::not_supported, fmt::format("LLDB does not take the setting {}", kSetting));
  }
  process.GetNumThreads();  // fills the list anew; a thread added to an empty one would be lost at the next look
  process.CreateOSPluginThread(kHandshake, reinterpret_cast<lldb::addr_t>(&bridge_));
  if (!greeted_) {
    set_setting(debugger, process, "");
    return fail(ErrorCode::not_supported,
                fmt::format("goroutines as threads need an LLDB with Python 3.6 or later and its ctypes module "
                            "(on Debian: python3-lldb-19 beside lldb-19); {} has none that works",
                            lldb_version()));
  }
  process_ = process.GetUniqueID();
  return {};
}

Result<lldb::SBThread> GoroutineThreads::add(lldb::SBProcess& process, const ThreadRecord& record) {
  process.GetNumThreads();
  lldb::SBThread thread = process.GetThreadByID(record.tid);
  if (!thread.IsValid()) thread = process.CreateOSPluginThread(record.tid, reinterpret_cast<lldb::addr_t>(&record));
  if (!thread.IsValid()) {
    return fail(ErrorCode::not_supported, fmt::format("LLDB made no thread of goroutine {}", goroutine_of_tid(record.tid)));
  }
  return thread;
}

void GoroutineThreads::unload(lldb::SBDebugger& debugger, lldb::SBProcess& process) {
  if (process_ != process.GetUniqueID()) return;
  let_events_settle(debugger);
  Selection selection(process);
  set_setting(debugger, process, "");
  process.GetNumThreads();
  process_ = 0;
}

}  // namespace stacktide::lldb_plugin
