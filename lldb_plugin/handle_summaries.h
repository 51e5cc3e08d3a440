// Summaries of handles: `(stacktide::channel<int>) numbers = channel<int> len 2 cap 8 = {7, 11}`.
//
// Concept. LLDB supplies what is in the handle, a word, and the name of its type; core reads the runtime's structure there
// and makes the text, the same as GDB's printers, so no debug info of the runtime is needed. LLDB's C++ API has summaries
// but no synthetic children, so the first buffered values of a channel stand in the summary.
//
// Invariants. LLDB calls a summary on any of its threads, and hands it nothing of ours: a plain function, no baton. So there
// is one process-wide table, from a debugger's id to what its plugin keeps for summaries. It holds weak references: what is
// kept goes with the debugger's commands, as all of the plugin's state. A session is taken out while it is used, and no lock
// is held over a call into LLDB, which has locks of its own; two threads that print at once use two sessions.
//
// Rejected: a command of ours that the summary has LLDB's interpreter run (it is not made for calls from within printing);
// the sessions of commands (in use on another thread, perhaps, while LLDB prints a stop).
#pragma once

#include <lldb/API/LLDB.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "stacktide/core/command.h"

namespace stacktide::lldb_plugin {

class HandleSessions {
 public:
  // A session of this stop of the process, for the caller alone.
  std::unique_ptr<Session> take(lldb::SBTarget target, lldb::SBProcess process);
  // For the next one.
  void give_back(lldb::SBProcess process, std::unique_ptr<Session> session);

 private:
  struct Kept {
    std::uint32_t process;  // SBProcess::GetUniqueID
    std::uint32_t stop;     // and GetStopID
    std::unique_ptr<Session> session;
  };
  std::mutex mutex_;
  std::vector<Kept> kept_;
};

// The category "stacktide", enabled. The summaries end when `sessions` does.
bool add_handle_summaries(lldb::SBDebugger& debugger, const std::shared_ptr<HandleSessions>& sessions);

}  // namespace stacktide::lldb_plugin
