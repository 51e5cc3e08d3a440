// Help and completion, made from the command table and written as each host writes commands.
#include <fmt/format.h>

#include <algorithm>

#include "command/table.h"

namespace stacktide {
namespace {

// How a person types a command at this host, up to and including the command's arguments.
std::string typed(HostKind host, std::string_view command) {
  switch (host) {
    case HostKind::cli:
      return fmt::format("stacktide {}", command);
    case HostKind::gdb:
    case HostKind::lldb:
      return fmt::format("goroutine {}", command);
    case HostKind::python:
      return std::string(command);
  }
  return std::string(command);
}

std::string example(HostKind host, std::string_view command) {
  switch (host) {
    case HostKind::cli:
      return fmt::format("$ stacktide {} --pid 4242", command);
    case HostKind::gdb:
      return fmt::format("(gdb) goroutine {}", command);
    case HostKind::lldb:
      return fmt::format("(lldb) goroutine {}", command);
    case HostKind::python:
      return fmt::format(">>> session.run(\"{}\")", command);
  }
  return std::string(command);
}

std::string options_text(std::span<const OptionInfo> options) {
  Table table;
  table.column("", Align::left);
  table.column("", Align::left);
  for (const auto& option : options) {
    std::string name = fmt::format("  {}", option.name);
    if (option.takes == Takes::value) name += fmt::format(" {}", option.value);
    if (option.takes == Takes::maybe_value) name += fmt::format("[={}]", option.value);
    table.row({std::move(name), std::string(option.help)});
  }
  return table.render({});
}

std::string command_help(const CommandEntry& entry, HostKind host) {
  auto usage = std::string(entry.info.name);
  if (!entry.info.arguments.empty()) usage += fmt::format(" {}", entry.info.arguments);
  auto out = fmt::format("{}{}\n\n{}\n", typed(host, usage + " [OPTIONS]"),
                         host == HostKind::cli ? " --pid N | --core FILE" : "", entry.info.summary);
  std::string prose;
  std::string examples;
  for (std::string_view rest = entry.info.help; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    if (line.starts_with("$ ")) {
      examples += fmt::format("  {}\n", example(host, line.substr(2)));
    } else {
      prose += fmt::format("{}\n", line);
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (!prose.empty()) out += "\n" + prose;
  out += "\noptions:\n" + options_text(entry.options);
  if (!examples.empty()) out += "\nexamples:\n" + examples;
  return out;
}

std::string overview(HostKind host) {
  Table table;
  table.column("", Align::left);
  table.column("", Align::left);
  for (const auto& entry : command_table()) {
    table.row({fmt::format("  {} {}", entry.info.name, entry.info.arguments), std::string(entry.info.summary)});
  }
  return table.render({}) + fmt::format("\n{}: options and examples of one\n", typed(host, "help COMMAND"));
}

}  // namespace

CommandResult help(const std::vector<std::string>& words, HostKind host) {
  if (words.empty()) return {overview(host), "", 0};
  const auto* entry = find_command(words[0]);
  if (entry == nullptr) {
    const Error error{ErrorCode::usage, 0, fmt::format("no command '{}'", words[0])};
    return {"", describe(error) + "\n", 2};
  }
  return {command_help(*entry, host), "", 0};
}

std::vector<std::string> complete(Session* session, const std::vector<std::string>& words, std::string_view partial) {
  constexpr std::size_t kMaxIds = 1000;
  std::vector<std::string> found;
  const auto offer = [&](std::string word) {
    if (word.starts_with(partial)) found.push_back(std::move(word));
  };
  if (words.empty()) {
    for (const auto& entry : command_table()) offer(std::string(entry.info.name));
    return found;
  }
  const auto* entry = find_command(words[0]);
  if (entry == nullptr) return found;
  if (partial.starts_with("-")) {
    for (const auto& option : entry->options) offer(std::string(option.name));
    return found;
  }
  if (words.size() > 1 || entry->info.arguments.find("ID") == std::string_view::npos) return found;
  if (entry->info.arguments.find("all") != std::string_view::npos) offer("all");
  if (session == nullptr) return found;
  if (auto snapshot = session->snapshot()) {
    for (const auto& g : (*snapshot)->goroutines) {
      if (found.size() >= kMaxIds) break;
      offer(fmt::format("{}", g.id));
    }
  }
  return found;
}

}  // namespace stacktide
