#include "command_words.h"

#include <algorithm>
#include <charconv>

namespace stacktide::lldb_plugin {

std::optional<std::uint64_t> number(std::string_view word) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

const CommandInfo* find_command(std::string_view word) {
  auto table = commands();
  auto found = std::ranges::find(table, word, &CommandInfo::name);
  return found == table.end() ? nullptr : &*found;
}

bool is_core_command_on_goroutine(std::string_view word) {
  const CommandInfo* info = find_command(word);
  return info != nullptr && word != "bt" && info->arguments.find("ID") != std::string_view::npos;
}

bool is_core_command_on_program(std::string_view word) {
  return find_command(word) != nullptr && !is_core_command_on_goroutine(word) && word != "bt" && word != "list";
}

std::string command_line(std::span<const std::string> words) {
  if (words.size() == 1) return words.front();
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    if (!word.empty() && word.find_first_of(" \t'\"`\\") == std::string::npos) {
      line += word;
      continue;
    }
    line += '"';
    for (char c : word) {
      if (c == '"' || c == '\\' || c == '`') line += '\\';
      line += c;
    }
    line += '"';
  }
  return line;
}

std::vector<std::string> problem_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    for (std::string_view prefix : {"error: ", "warning: "}) {
      if (line.starts_with(prefix)) line.remove_prefix(prefix.size());
    }
    if (!line.empty()) lines.emplace_back(line);
  }
  return lines;
}

}  // namespace stacktide::lldb_plugin
