// Goroutines as threads of LLDB: the C++ half of stacktide_lldb_os.py, which says how the two talk.
//
// Concept. LLDB takes threads that no kernel knows only from a Python OperatingSystem class, one object per process. Here
// that class is a copier: this object gives it the address of a Bridge (functions of ours) through
// SBProcess::CreateOSPluginThread, then one ThreadRecord per goroutine. One goroutine is added for the current stop by
// add(); at each later stop LLDB asks the class for the whole list, which comes from the Lister.
//
// Invariants. Only goroutines that are on no OS thread become threads; the others are there as the thread that they run on,
// whose registers and stop reason are LLDB's own. (The OperatingSystem interface could tie a goroutine to its thread by that
// thread's index in a list that it does not show; a wrong guess would show another thread's registers.) The setting that
// loads the class belongs to the process and is set after it exists: set before an attach, it is lost. Loading it empties
// LLDB's thread list, so the selection is put back.
//
// Rejected: importing the Python module `stacktide` in the class (a second core, tied to one Python version); running an
// LLDB command from get_thread_info (the interpreter is not made for calls from LLDB's private state thread).
#pragma once

#include <lldb/API/LLDB.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "stacktide/core/result.h"

namespace stacktide::lldb_plugin {

// Mirrored by ThreadRecord in stacktide_lldb_os.py.
struct ThreadRecord {
  std::uint64_t tid = 0;
  std::uint64_t registers[8] = {};   // rip, rsp, rbp, rbx, r12 to r15
  std::uint64_t register_count = 0;  // how many of them are known, from the first
  char name[216] = {};               // ends with a zero byte
};

// A goroutine's thread id is kGoroutineTid * (1 + generation) + its id: above every Linux tid (at most 2^22), exact in
// JSON numbers (lldb-dap), and one sees the id in LLDB's decimal output. The generation counts changes of its name: LLDB
// takes a thread's name when it first sees the tid, and never again.
inline constexpr std::uint64_t kGoroutineTid = 1'000'000'000'000;
inline bool is_goroutine_tid(std::uint64_t tid) { return tid >= kGoroutineTid; }
inline std::uint64_t goroutine_of_tid(std::uint64_t tid) { return tid % kGoroutineTid; }

class GoroutineThreads {
 public:
  // Called by LLDB at every stop, perhaps on a thread of its own and under its locks; must not throw.
  using Lister = std::function<std::vector<ThreadRecord>()>;
  explicit GoroutineThreads(Lister list);
  GoroutineThreads(const GoroutineThreads&) = delete;
  GoroutineThreads& operator=(const GoroutineThreads&) = delete;

  // Makes LLDB load the class for this process unless it has. Errors: not_supported when LLDB has no usable Python, the
  // script is missing, or another OperatingSystem class is in use.
  Result<void> load(lldb::SBDebugger& debugger, lldb::SBProcess& process);
  // Adds one thread, or gives the one with this tid. load() first.
  Result<lldb::SBThread> add(lldb::SBProcess& process, const ThreadRecord& record);
  // Takes all goroutine threads out of LLDB's list; a selected one gives way to the first thread of the process.
  void unload(lldb::SBDebugger& debugger, lldb::SBProcess& process);

 private:
  // Mirrored by Bridge in stacktide_lldb_os.py.
  struct Bridge {
    std::uint64_t version;
    std::uint64_t record_size;
    void* owner;  // GoroutineThreads
    void (*hello)(void* owner);
    std::uint64_t (*list)(void* owner, const ThreadRecord** records);  // records stay until the next call
  };
  Lister list_;
  Bridge bridge_;
  std::vector<ThreadRecord> listed_;
  bool greeted_ = false;
  std::uint32_t process_ = 0;  // SBProcess::GetUniqueID of the process that has the class, 0 none
};

}  // namespace stacktide::lldb_plugin
