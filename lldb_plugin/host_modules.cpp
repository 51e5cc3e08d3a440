#include "host_modules.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <set>
#include <string_view>

#include "elf_in_memory.h"

namespace stacktide::lldb_plugin {
namespace {

constexpr std::uint32_t kMaxRegions = 65536;  // a remote stub answers one question per mapping
constexpr std::size_t kShortestBuildId = 16;  // hex digits; LLDB makes up an 8-digit CRC for files that have none

std::string path_of(lldb::SBFileSpec spec) {
  std::string path(4096, '\0');
  path.resize(spec.GetPath(path.data(), path.size()));
  return path;
}

std::string uuid_of(lldb::SBModule& module) {
  const char* text = module.GetUUIDString();
  std::string id;
  for (char c : std::string_view(text != nullptr ? text : "")) {
    if (c != '-') id += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return id.size() >= kShortestBuildId ? id : "";
}

std::string executable_of(lldb::SBTarget& target) { return path_of(target.GetExecutable()); }

// Core's reading of the core file, with the executable that was given to LLDB, where that fits.
bool search_core(lldb::SBTarget& target, lldb::SBProcess& process, ModuleSearch& search) {
  std::string path = core_path(process);
  if (path.empty()) return false;
  auto core = open_core(path, {.executable = executable_of(target)});
  if (!core && core.error().code == ErrorCode::build_id_mismatch) {
    search.damage.push_back(describe(core.error()));
    core = open_core(path);
  }
  if (!core) core = open_core(path);
  if (!core) return false;
  search.modules = (*core)->modules();
  std::ranges::move((*core)->damage(), std::back_inserter(search.damage));
  return true;
}

// Core's reading of /proc, if that process is the one that LLDB holds: the same files start at the same addresses.
bool search_local(lldb::SBProcess& process, Memory& memory, ModuleSearch& search) {
  auto local = open_process(process.GetProcessID(), {.stop = false});
  if (!local || (*local)->modules().empty()) return false;
  for (const Module& module : (*local)->modules()) {
    auto seen = elf_in_memory(memory, module.start);
    if (!seen || seen->load_bias != module.load_bias || seen->build_id != module.build_id) return false;
  }
  search.modules = (*local)->modules();
  search.local = true;
  return true;
}

Address start_of(lldb::SBModule& module, lldb::SBTarget& target) {
  Address start = LLDB_INVALID_ADDRESS;
  for (std::size_t i = 0, count = module.GetNumSections(); i < count; ++i) {
    start = std::min<Address>(start, module.GetSectionAtIndex(i).GetLoadAddress(target));
  }
  return start;
}

void add_lldb_modules(lldb::SBTarget& target, Memory& memory, ModuleSearch& search) {
  for (std::uint32_t i = 0, count = target.GetNumModules(); i < count; ++i) {
    lldb::SBModule module = target.GetModuleAtIndex(i);
    Address start = start_of(module, target);
    if (start == LLDB_INVALID_ADDRESS) continue;
    auto header = elf_in_memory(memory, start);
    if (!header) continue;
    Module found{.path = path_of(module.GetPlatformFileSpec()),
                 .file = path_of(module.GetFileSpec()),
                 .load_bias = header->load_bias,
                 .start = start,
                 .end = header->end,
                 .build_id = header->build_id,
                 .problem = ""};
    std::string uuid = uuid_of(module);
    if (!uuid.empty() && !found.build_id.empty() && uuid != found.build_id) {
      found.problem = fmt::format("{} is another build than the one in the target", found.file);
    } else if (::access(found.file.c_str(), R_OK) != 0) {
      found.problem = fmt::format("{} is not on this machine", found.file);
    }
    if (!found.problem.empty()) found.file.clear();
    search.modules.push_back(std::move(found));
  }
}

void add_mappings(lldb::SBProcess& process, Memory& memory, ModuleSearch& search) {
  std::set<Address> known;
  for (const Module& module : search.modules) known.insert(module.start);
  lldb::SBMemoryRegionInfoList regions = process.GetMemoryRegions();
  std::uint32_t count = std::min<std::uint32_t>(regions.GetSize(), kMaxRegions);
  for (std::uint32_t i = 0; i < count; ++i) {
    lldb::SBMemoryRegionInfo region;
    if (!regions.GetMemoryRegionAtIndex(i, region) || !region.IsReadable() || known.contains(region.GetRegionBase()))
      continue;
    Address start = region.GetRegionBase();
    auto header = elf_in_memory(memory, start);
    if (!header) continue;
    const char* name = region.GetName();
    search.modules.push_back({.path = name != nullptr ? name : "",
                              .file = "",
                              .load_bias = header->load_bias,
                              .start = start,
                              .end = header->end,
                              .build_id = header->build_id,
                              .problem = "LLDB has no file for it"});
  }
  if (regions.GetSize() > kMaxRegions) {
    search.damage.push_back(fmt::format("looked for ELF files in {} of {} mappings only", kMaxRegions, regions.GetSize()));
  }
}

}  // namespace

namespace {

// A template, so that the headers of older LLDBs compile.
template <class Process>
std::string core_path_of(Process& process) {
  if constexpr (requires { process.GetCoreFile(); }) {
    return path_of(process.GetCoreFile());
  } else {
    return "";
  }
}

}  // namespace

std::string core_path(lldb::SBProcess& process) { return core_path_of(process); }

bool is_core(lldb::SBProcess& process) {
  const char* plugin = process.GetPluginName();
  return plugin != nullptr && std::string_view(plugin).ends_with("-core");
}

ModuleSearch find_host_modules(lldb::SBTarget target, lldb::SBProcess process, Memory& memory) {
  ModuleSearch search;
  if (is_core(process) ? search_core(target, process, search) : search_local(process, memory, search)) return search;
  add_lldb_modules(target, memory, search);
  std::string executable = executable_of(target);
  bool have_executable =
      !executable.empty() && std::ranges::any_of(search.modules, [&](const Module& m) { return m.file == executable; });
  if (!have_executable) add_mappings(process, memory, search);
  return search;
}

}  // namespace stacktide::lldb_plugin
