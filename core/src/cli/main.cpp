// The `stacktide` command: opens a target, runs one command of the table on it, closes the target, prints.
//
// The target is closed before anything is printed, so that a process stands still for the reading only and not for a slow
// terminal or a pager. Messages go to stderr, each line after "stacktide: ".
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string_view>

#include "cli/debuggers.h"
#include "cli/files.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "stacktide/core/command.h"

namespace stacktide::cli {
namespace {

constexpr int kUsage = 2;

bool write_all(std::FILE* stream, std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stream) == text.size() && std::fflush(stream) == 0;
}

void complain(std::string_view lines) {
  std::string text;
  while (!lines.empty()) {
    const auto end = std::min(lines.find('\n'), lines.size());
    text += fmt::format("stacktide: {}\n", lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  write_all(stderr, text);
}

int print(const CommandResult& result) {
  complain(result.err);
  if (!write_all(stdout, result.out)) {
    complain("cannot write the output");
    return kUsage;
  }
  return result.exit_code;
}

CommandOptions command_options(const Options& options) {
  CommandOptions result;
  result.terminal = isatty(STDOUT_FILENO) == 1;
  const auto style = standard_style();
  result.colour = options.colour == ColourMode::always || (options.colour == ColourMode::automatic && style.colour);
  result.width = style.width;
  return result;
}

Result<std::unique_ptr<Target>> open_target(const Options& options) {
  if (options.pid) return open_process(*options.pid);
  return open_core(options.core, {options.executable});
}

bool is_command(std::string_view word) {
  for (const auto& command : commands()) {
    if (command.name == word) return true;
  }
  return false;
}

int run_on_target(const Options& options) {
  auto target = open_target(options);
  if (!target) {
    complain(describe(target.error()));
    return kUsage;
  }
  CommandResult result;
  std::int64_t pause = 0;
  {
    Session session(std::move(*target));
    result = run(session, options.words, command_options(options));
    pause = pause_of(session.target());
  }
  if (pause > 0)
    write_all(stderr, fmt::format("stopped process {} for {:.1f} ms\n", *options.pid, static_cast<double>(pause) / 1e6));
  return print(result);
}

int main_result(int argc, char** argv) {
  if (const auto done = run_debugger(argc, argv)) return print({done->out, done->err, done->exit_code});
  if (const auto done = run_on_files(argc, argv)) return print({done->out, done->err, done->exit_code});
  const auto parsed = parse(argc, argv);
  if (!parsed) {
    complain(fmt::format("{} (see stacktide --help)", parsed.error().context));
    return kUsage;
  }
  const Options& options = *parsed;
  const auto& words = options.words;
  if (options.version) return print({"stacktide " STACKTIDE_VERSION "\n", "", 0});
  if (words.empty() || (words.size() == 1 && words[0] == "help")) {
    if (options.help || !words.empty()) return print({usage(), "", 0});
    complain("which command? (see stacktide --help)");
    return kUsage;
  }
  if (words[0] == "help") {
    if (auto text = debugger_help(words[1])) return print({*text, "", 0});
    if (auto text = files_help(words[1])) return print({*text, "", 0});
    return print(help({words[1]}, HostKind::cli));
  }
  if (words[0] == "completion") {
    if (words.size() == 2 && words[1] == "bash") return print({bash_completion(), "", 0});
    complain("completion: for bash only (stacktide completion bash)");
    return kUsage;
  }
  if (!is_command(words[0]) || options.help) return print(help({words[0]}, HostKind::cli));
  if (!options.pid && options.core.empty()) {
    complain(fmt::format("{}: of which program? give --pid N or --core FILE", words[0]));
    return kUsage;
  }
  return run_on_target(options);
}

}  // namespace
}  // namespace stacktide::cli

// Nothing in core throws; what may come through is the standard library out of memory.
int main(int argc, char** argv) {
  try {
    return stacktide::cli::main_result(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "stacktide: %s\n", error.what());
    return 2;
  }
}
