// `stacktide trace COMMAND FILE`: commands on a recording.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/files.h"
#include "cli/terminal.h"
#include "command/recordings.h"

namespace stacktide::cli {
namespace {

// Those with options and output of their own.
struct Other {
  std::string_view name;
  Done (*run)(const std::vector<std::string>& words);
  std::string_view about;
};
constexpr std::array kOthers = {
    Other{"check", trace_check, "rules on a recording, for CI: exit code 1 where one is broken"},
    Other{"advise", trace_advise, "which start sizes would save growth, and what to change where stacks split or thrash"},
};

std::string usage() {
  auto text = std::string("stacktide trace COMMAND FILE [OPTIONS]\n\n");
  for (const auto& command : recording_commands()) text += fmt::format("  {:<10}{}\n", command.name, command.summary);
  for (const auto& other : kOthers) text += fmt::format("  {:<10}{}\n", other.name, other.about);
  return text +
         "\nFILE: what `stacktide record` or STACKTIDE_TRACE=FILE wrote.\n"
         "stacktide trace COMMAND --help: options and examples of one\n";
}

RecordingOutput standard_output() {
  RecordingOutput output;
  output.terminal = isatty(STDOUT_FILENO) == 1;
  output.style = standard_style();
  output.write = [](std::string_view text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  };
  return output;
}

}  // namespace

std::vector<std::string> trace_command_names() {
  std::vector<std::string> names;
  for (const auto& command : recording_commands()) names.emplace_back(command.name);
  for (const auto& other : kOthers) names.emplace_back(other.name);
  return names;
}

Done trace(const std::vector<std::string>& words) {
  if (words.empty()) return {2, "", "trace: which command? (see stacktide trace --help)"};
  if (words[0] == "--help" || words[0] == "help") return {0, usage(), ""};
  const std::vector<std::string> rest(words.begin() + 1, words.end());
  const bool wants_help = std::ranges::find(rest, "--help") != rest.end();
  for (const auto& other : kOthers) {
    if (other.name == words[0]) return other.run(rest);
  }
  for (const auto& command : recording_commands()) {
    if (command.name != words[0]) continue;
    if (wants_help) return {0, recording_help(command), ""};
    auto result = run_recording(command, rest, standard_output());
    return {result.exit_code, std::move(result.out), std::move(result.err)};
  }
  return {2, "", fmt::format("trace: no command '{}' (see stacktide trace --help)", words[0])};
}

}  // namespace stacktide::cli
