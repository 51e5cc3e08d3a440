// The entry of `plugin load stacktide_lldb.so`.
#include <lldb/API/LLDB.h>

#include <cstdio>
#include <string_view>

#include "goroutine_command.h"

namespace {

// LLDB's C++ API keeps neither layouts nor symbols from one major version to the next, and LLDB loads any plugin. A plugin
// of another version would work until it calls a function that is not there, which ends LLDB.
bool is_the_lldb_built_for() {
  constexpr std::string_view kWanted = STACKTIDE_LLDB_VERSION;
  const char* text = lldb::SBDebugger::GetVersionString();  // "lldb version 19.1.7\n..."
  constexpr std::string_view kBefore = "lldb version ";
  std::string_view version = text != nullptr ? text : "";
  std::size_t at = version.find(kBefore);
  if (kWanted.empty() || at == std::string_view::npos) return true;
  version.remove_prefix(at + kBefore.size());
  version = version.substr(0, version.find_first_not_of("0123456789."));
  if (version.substr(0, version.find('.')) == kWanted) return true;
  std::fprintf(stderr,
               "error: stacktide: this plugin is built for LLDB %.*s, and this is LLDB %.*s: use lldb-%.*s, or build with "
               "-DSTACKTIDE_LLDB_PREFIX\n",
               static_cast<int>(kWanted.size()), kWanted.data(), static_cast<int>(version.size()), version.data(),
               static_cast<int>(kWanted.size()), kWanted.data());
  return false;
}

}  // namespace

namespace lldb {

// LLDB finds it by this name; all else in this shared object is hidden. Loading looks at no target.
__attribute__((visibility("default"))) bool PluginInitialize(SBDebugger debugger);

bool PluginInitialize(SBDebugger debugger) {
  try {
    return is_the_lldb_built_for() && stacktide::lldb_plugin::add_goroutine_commands(debugger);
  } catch (...) {
    return false;  // LLDB says that the plugin could not be loaded
  }
}

}  // namespace lldb
