// Help, made from the command table and written as each host writes commands.
#include <fmt/format.h>

#include <algorithm>

#include "command/host_words.h"
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

std::string command_help(const CommandInfo& info, std::span<const OptionInfo> options, HostKind host) {
  auto usage = std::string(info.name);
  if (!info.arguments.empty()) usage += fmt::format(" {}", info.arguments);
  if (!options.empty()) usage += " [OPTIONS]";
  auto out =
      fmt::format("{}{}\n\n{}\n", typed(host, usage), host == HostKind::cli ? " --pid N | --core FILE" : "", info.summary);
  std::string prose;
  std::string examples;
  for (std::string_view rest = info.help; !rest.empty();) {
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
  if (!options.empty()) out += "\noptions:\n" + options_text(options);
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
  for (const auto& info : host_words(host)) {
    table.row({fmt::format("  {} {}", info.name, info.arguments), std::string(info.summary)});
  }
  return table.render({}) + fmt::format("\n{}: options and examples of one\n", typed(host, "help COMMAND"));
}

}  // namespace

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

CommandResult help(const std::vector<std::string>& words, HostKind host) {
  if (words.empty()) return {overview(host), "", 0};
  const auto* entry = find_command(words[0]);
  const auto of_host = std::ranges::find(host_words(host), words[0], &CommandInfo::name);
  if (of_host != host_words(host).end()) return {command_help(*of_host, {}, host), "", 0};
  if (entry == nullptr) {
    const Error error{ErrorCode::usage, 0, fmt::format("no command '{}'", words[0])};
    return {"", describe(error) + "\n", 2};
  }
  return {command_help(entry->info, entry->options, host), "", 0};
}

}  // namespace stacktide
