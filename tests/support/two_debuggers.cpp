#include "support/two_debuggers.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace stacktide::test {
namespace {

bool take(std::string& line, std::string_view verb) {
  if (!line.starts_with(verb)) return false;
  line.erase(0, verb.size());
  return true;
}

std::string in_gdb(std::string line, const std::string& file) {
  if (take(line, "@run ")) return "run " + line + " > " + file;
  if (take(line, "@break ")) return "break " + line;
  if (take(line, "@environment ")) return "set environment " + line;
  return line;
}

std::string in_lldb(std::string line, const std::string& file) {
  if (take(line, "@run ")) return "process launch --stdout " + file + " -- " + line;
  if (take(line, "@break ")) return "breakpoint set --name " + line;
  if (take(line, "@environment ")) return "settings append target.env-vars " + line;
  return line;
}

}  // namespace

const char* name_of(Debugger debugger) { return debugger == Debugger::gdb ? "GDB" : "LLDB"; }

std::string with_event_hook_only(const TempDir& folder, const std::string& program) {
  std::ifstream in(program, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const std::string name = "stacktide_events_pending";
  auto at = bytes.find(name);
  if (at == std::string::npos) throw std::runtime_error(program + " has no " + name);
  for (; at != std::string::npos; at = bytes.find(name, at)) bytes[at + name.size() - 1] = 'G';
  const std::string path = folder / "renamed";
  std::ofstream(path, std::ios::binary) << bytes;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

TwoDebuggersSession run_script(Debugger debugger, const std::string& program, const std::vector<std::string>& script) {
  const TempDir folder;
  const std::string file = folder / "printed";
  TwoDebuggersSession session;
  std::vector<std::string> commands;
  if (debugger == Debugger::lldb) commands.push_back("target create " + program);
  for (const auto& line : script) commands.push_back(debugger == Debugger::gdb ? in_gdb(line, file) : in_lldb(line, file));
  if (debugger == Debugger::gdb) {
    const GdbSession gdb(commands, {.arguments = {program}});
    for (std::size_t i = 0; i < commands.size(); ++i) session.blocks.push_back(gdb.at(i));
    session.all = gdb.all();
  } else {
    const LldbSession found = lldb(commands);
    session.blocks.assign(found.blocks.begin() + (found.blocks.empty() ? 0 : 1), found.blocks.end());
    session.errors = found.err;
    session.all = found.out + found.err;
  }
  std::ifstream in(file);
  session.printed = {std::istreambuf_iterator<char>(in), {}};
  return session;
}

}  // namespace stacktide::test
