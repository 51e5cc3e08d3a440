#include "cli/files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <regex>
#include <set>

namespace stacktide::cli {
namespace {

struct FileCommand {
  std::string_view name;
  Done (*run)(const std::vector<std::string>& words);
  std::string_view about;
};

constexpr std::array kCommands = {
    FileCommand{"record", record, "run a program and record what its goroutines and stacks do"},
    FileCommand{"trace", trace, "show, summarize, export or check a recording, or take advice from it"},
    FileCommand{"diff", diff, "what appeared, vanished or grew between two cores, lists or recordings"},
};

const FileCommand* find(std::string_view word) {
  for (const auto& command : kCommands) {
    if (command.name == word) return &command;
  }
  return nullptr;
}

// The long options that a help text speaks of.
std::string options_in(const std::string& help) {
  static const std::regex option("--[a-z][a-z-]*");
  std::set<std::string> found;
  for (std::sregex_iterator at(help.begin(), help.end(), option), end; at != end; ++at) found.insert(at->str());
  return fmt::format("{}", fmt::join(found, " "));
}

}  // namespace

std::optional<Done> run_on_files(int argc, char** argv) {
  const auto* command = argc > 1 ? find(argv[1]) : nullptr;
  if (command == nullptr) return std::nullopt;
  return command->run({argv + 2, argv + argc});
}

std::optional<std::string> files_help(std::string_view word) {
  const auto* command = find(word);
  if (command == nullptr) return std::nullopt;
  return command->run({"--help"}).out;
}

std::vector<std::string> file_command_names() {
  std::vector<std::string> names;
  for (const auto& command : kCommands) names.emplace_back(command.name);
  return names;
}

std::string files_completion() {
  constexpr std::string_view kFiles = R"(COMPREPLY=($(compgen -f -- "$current")); return)";
  std::string text;
  for (const auto& command : kCommands) {
    if (command.name != "trace") {
      text += fmt::format("    {}) options=\"{}\"; [[ $current == -* ]] || {{ {}; }} ;;\n", command.name,
                          options_in(command.run({"--help"}).out), kFiles);
      continue;
    }
    const auto names = trace_command_names();
    text += fmt::format(
        "    trace) if [[ $COMP_CWORD -eq 2 ]]; then COMPREPLY=($(compgen -W \"{}\" -- \"$current\")); return; fi\n",
        fmt::join(names, " "));
    text += "      case ${COMP_WORDS[2]} in\n";
    for (const auto& name : names)
      text += fmt::format("        {}) options=\"{}\" ;;\n", name, options_in(trace({name, "--help"}).out));
    text += fmt::format("      esac; [[ $current == -* ]] || {{ {}; }} ;;\n", kFiles);
  }
  return text;
}

std::string files_usage() {
  std::string text = "recordings (help COMMAND for examples):\n";
  for (const auto& command : kCommands) {
    text += "  ";
    text += command.name;
    text.append(command.name.size() < 14 ? 14 - command.name.size() : 1, ' ');
    text += command.about;
    text += '\n';
  }
  return text;
}

}  // namespace stacktide::cli
