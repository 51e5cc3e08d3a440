// The entry of `plugin load stacktide_lldb.so`.
#include <lldb/API/LLDB.h>

#include "goroutine_command.h"

namespace lldb {

// LLDB finds it by this name; all else in this shared object is hidden. Loading prints nothing and looks at no target.
__attribute__((visibility("default"))) bool PluginInitialize(SBDebugger debugger);

bool PluginInitialize(SBDebugger debugger) {
  try {
    return stacktide::lldb_plugin::add_goroutine_commands(debugger);
  } catch (...) {
    return false;  // LLDB says that the plugin could not be loaded
  }
}

}  // namespace lldb
