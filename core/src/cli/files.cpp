#include "cli/files.h"

#include <array>

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
