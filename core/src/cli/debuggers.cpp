#include "cli/debuggers.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "stacktide/core/result.h"

namespace stacktide::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kUsage = 2;
constexpr std::string_view kLldbVersion = STACKTIDE_LLDB_VERSION;  // that the plugin is built for; "" unknown

constexpr std::string_view kGdbHelp =
    "stacktide gdb [ARGUMENTS]\n"
    "\n"
    "Starts GDB with stacktide's commands, printers and unwinder loaded. The arguments are GDB's own.\n"
    "Exit code: GDB's; 2 when it is not there.\n"
    "\n"
    "examples:\n"
    "  stacktide gdb PROGRAM\n"
    "  stacktide gdb PROGRAM CORE\n"
    "  stacktide gdb -p PID\n"
    "  stacktide gdb --args PROGRAM ARGUMENT\n"
    "  stacktide gdb --batch -ex 'info goroutines' PROGRAM CORE\n";
constexpr std::string_view kLldbHelp =
    "stacktide lldb [ARGUMENTS]\n"
    "\n"
    "Starts the LLDB that stacktide's plugin is built for, with the plugin loaded. The arguments are LLDB's own.\n"
    "Exit code: LLDB's; 2 when it is not there.\n"
    "\n"
    "examples:\n"
    "  stacktide lldb PROGRAM\n"
    "  stacktide lldb PROGRAM -c CORE\n"
    "  stacktide lldb -p PID\n"
    "  stacktide lldb -- PROGRAM ARGUMENT\n"
    "  stacktide lldb --batch -o 'goroutine list' -c CORE PROGRAM\n";
constexpr std::string_view kSetupHelp =
    "stacktide setup [--gdb|--lldb]\n"
    "\n"
    "Prints the lines that make GDB and LLDB load stacktide each time they start, and the file that each belongs to.\n"
    "\n"
    "examples:\n"
    "  stacktide setup\n"
    "  stacktide setup --gdb >> ~/.gdbinit\n"
    "  stacktide setup --lldb >> ~/.lldbinit\n";

// A file beside this program: of a build tree, or as it was installed.
Result<std::string> find_beside(std::string_view name, std::initializer_list<std::string_view> folders,
                                std::string_view remedy) {
  std::error_code error;
  const auto self = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(ErrorCode::io_error, "/proc/self/exe cannot be read: stacktide does not know where it is");
  std::string looked;
  for (const auto folder : folders) {
    const auto file = (self.parent_path() / folder / name).lexically_normal();
    if (fs::exists(file, error)) return file.string();
    looked += (looked.empty() ? "" : " or ") + file.parent_path().string();
  }
  return fail(ErrorCode::io_error, fmt::format("no {} in {}: {}", name, looked, remedy));
}

Result<std::string> gdb_script() {
  return find_beside("stacktide_gdb.py", {"../python", STACKTIDE_PYTHON_FROM_BIN},
                     "build stacktide_python, or install again");
}

Result<std::string> lldb_plugin() {
  return find_beside("stacktide_lldb.so", {"../lib", STACKTIDE_LIB_FROM_BIN}, "build stacktide_lldb, or install again");
}

// Without quotes: `source` takes the rest of the line as it is.
std::string gdb_line(const std::string& script) { return "source " + script; }

std::string lldb_line(const std::string& plugin) {
  std::string quoted;
  for (const char c : plugin) {
    if (c == '"' || c == '\\' || c == '`') quoted += '\\';
    quoted += c;
  }
  return plugin == quoted && plugin.find_first_of(" \t'") == std::string::npos ? "plugin load " + plugin
                                                                               : fmt::format("plugin load \"{}\"", quoted);
}

// Becomes the first of these programs that there is. Returns only when there is none.
Done become(const std::vector<std::string>& programs, std::vector<std::string> load, char** arguments,
            std::string_view remedy) {
  int error = ENOENT;
  for (const auto& program : programs) {
    std::vector<char*> words = {const_cast<char*>(program.c_str())};
    for (auto& word : load) words.push_back(word.data());
    for (char** word = arguments; *word != nullptr; ++word) words.push_back(*word);
    words.push_back(nullptr);
    ::execvp(program.c_str(), words.data());
    if (errno != ENOENT) error = errno;
  }
  if (error == ENOENT) return {kUsage, "", fmt::format("{} is not installed: {}\n", programs.front(), remedy)};
  return {kUsage, "", fmt::format("{} cannot be started: {}\n", programs.front(), std::strerror(error))};
}

Done run_gdb(char** arguments) {
  const auto script = gdb_script();
  if (!script) return {kUsage, "", script.error().context + "\n"};
  return become({"gdb"}, {"-iex", gdb_line(*script)}, arguments, "apt-get install gdb, or the like");
}

Done run_lldb(char** arguments) {
  const auto plugin = lldb_plugin();
  if (!plugin) return {kUsage, "", plugin.error().context + "\n"};
  // Another version would refuse the plugin.
  std::vector<std::string> programs = {"lldb"};
  std::string package = "lldb";
  if (!kLldbVersion.empty()) {
    package = fmt::format("lldb-{}", kLldbVersion);
    programs = {package, fmt::format("/usr/lib/llvm-{}/bin/lldb", kLldbVersion), "lldb"};
  }
  return become(programs, {"-O", lldb_line(*plugin)}, arguments, fmt::format("apt-get install {}, or the like", package));
}

Done setup(char** arguments) {
  const std::string_view only = *arguments == nullptr ? "" : *arguments;
  if ((!only.empty() && only != "--gdb" && only != "--lldb") || (*arguments != nullptr && arguments[1] != nullptr))
    return {kUsage, "", "setup takes --gdb or --lldb, or nothing\n"};
  Done done;
  const auto add = [&](const Result<std::string>& file, const char* comment, std::string (*line)(const std::string&)) {
    if (file) {
      done.out += fmt::format("{}\n{}\n", comment, line(*file));
    } else {
      done.err += file.error().context + "\n";
      done.exit_code = kUsage;
    }
  };
  if (only != "--lldb") add(gdb_script(), "# stacktide, for ~/.gdbinit", gdb_line);
  const auto lldb =
      fmt::format("# stacktide, for ~/.lldbinit{}", kLldbVersion.empty() ? "" : fmt::format(" (LLDB {})", kLldbVersion));
  if (only != "--gdb") add(lldb_plugin(), lldb.c_str(), lldb_line);
  return done;
}

}  // namespace

std::optional<std::string> debugger_help(std::string_view word) {
  if (word == "gdb") return std::string(kGdbHelp);
  if (word == "lldb") return std::string(kLldbHelp);
  if (word == "setup") return std::string(kSetupHelp);
  return std::nullopt;
}

std::string debugger_usage() {
  return "debuggers, with stacktide loaded (help COMMAND for examples):\n"
         "  gdb [ARGUMENTS]           GDB; the arguments are its own: stacktide gdb PROGRAM CORE\n"
         "  lldb [ARGUMENTS]          LLDB, likewise: stacktide lldb PROGRAM -c CORE\n"
         "  setup [--gdb|--lldb]      the lines for ~/.gdbinit and ~/.lldbinit\n";
}

std::optional<Done> run_debugger(int argc, char** argv) {
  const std::string_view word = argc > 1 ? argv[1] : "";
  const auto help = debugger_help(word);
  if (!help) return std::nullopt;
  char** arguments = argv + 2;
  if (argc == 3 && std::string_view(argv[2]) == "--help") return Done{0, *help, ""};
  if (word == "gdb") return run_gdb(arguments);
  if (word == "lldb") return run_lldb(arguments);
  return setup(arguments);
}

}  // namespace stacktide::cli
