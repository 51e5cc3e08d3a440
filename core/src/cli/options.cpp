#include "cli/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <map>

#include "cli/debuggers.h"
#include "cli/files.h"
#include "stacktide/core/command.h"

namespace stacktide::cli {

Result<Options> parse(int argc, const char* const* argv) {
  Options options;
  CLI::App app;
  std::string process;
  app.set_help_flag();  // ours is made from the command table
  app.allow_extras();   // the command's own words, which the table checks
  auto* pid = app.add_option("--pid", process);
  auto* core = app.add_option("--core", options.core)->excludes(pid);
  app.add_option("--exe", options.executable)->needs(core);
  const std::map<std::string, ColourMode> modes = {
      {"auto", ColourMode::automatic}, {"always", ColourMode::always}, {"never", ColourMode::never}};
  app.add_option("--color,--colour", options.colour)->transform(CLI::CheckedTransformer(modes).description(""));
  // Long names only: a short one would swallow the value in `--sort -parent`.
  app.add_flag("--help", options.help);
  app.add_flag("--version", options.version);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return fail(ErrorCode::usage, error.what());
  }
  if (pid->count() != 0) {
    options.pid = 0;
    const auto [end, wrong] = std::from_chars(process.data(), process.data() + process.size(), *options.pid);
    if (wrong != std::errc() || end != process.data() + process.size() || *options.pid == 0) {
      return fail(ErrorCode::usage, fmt::format("--pid wants a process id, not '{}'", process));
    }
  }
  options.words = app.remaining();
  return options;
}

std::string usage() {
  return "stacktide looks into programs that run on goroutines.\n\n"
         "stacktide COMMAND [ARGUMENTS] --pid N | --core FILE [--exe FILE] [OPTIONS]\n\n" +
         help({}, HostKind::cli).out + "\n" + files_usage() + "\n" + debugger_usage() +
         "\n"
         "target:\n"
         "  --pid N        a running process; it stands still while it is read, and runs on after that\n"
         "  --core FILE    a core file\n"
         "  --exe FILE     the executable that dumped it, when it is not where it was\n"
         "\n"
         "options of all commands:\n"
         "  --json         JSON instead of text\n"
         "  --color WHEN   auto, always or never; NO_COLOR is honoured\n"
         "  --help         this, or with a command its own help\n"
         "  --version      the version\n"
         "\n"
         "stacktide completion bash: a script for bash's completion\n"
         "exit codes: 0 fine; 1 findings; 2 usage, or a target that cannot be read; 3 partial result, printed\n";
}

std::string bash_completion() {
  std::vector<std::string> names;
  std::string cases;
  for (const auto& command : commands()) {
    names.emplace_back(command.name);
    cases += fmt::format("    {}) options+=\" {}\" ;;\n", command.name,
                         fmt::join(complete(nullptr, {std::string(command.name)}, "--"), " "));
  }
  return fmt::format(R"bash(_stacktide() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
  local options="--pid --core --exe --color --help --version"
  case $previous in
    --pid) COMPREPLY=($(compgen -W "$(command ls /proc | command grep '^[0-9]')" -- "$current")); return ;;
    --core|--exe) COMPREPLY=($(compgen -f -- "$current")); return ;;
    --color) COMPREPLY=($(compgen -W "auto always never" -- "$current")); return ;;
  esac
  if [[ $COMP_CWORD -eq 1 && $current != -* ]]; then
    COMPREPLY=($(compgen -W "{} {} gdb lldb setup help completion" -- "$current")); return
  fi
  case ${{COMP_WORDS[1]}} in
    gdb|lldb) COMPREPLY=($(compgen -f -- "$current")); return ;;
    setup) COMPREPLY=($(compgen -W "--gdb --lldb --help" -- "$current")); return ;;
  esac
  case ${{COMP_WORDS[1]}} in
{}{}  esac
  COMPREPLY=($(compgen -W "$options" -- "$current"))
}}
complete -F _stacktide stacktide
)bash",
                     fmt::join(names, " "), fmt::join(file_command_names(), " "), cases, files_completion());
}

}  // namespace stacktide::cli
