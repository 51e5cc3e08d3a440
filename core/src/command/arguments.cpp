#include "command/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace stacktide {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

Result<Arguments> Arguments::parse(std::string_view command, std::span<const std::string> words,
                                   std::span<const OptionInfo> options, std::size_t max_positionals) {
  Arguments result;
  result.command_ = command;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with("-") || word == "-") {
      if (result.positionals_.size() == max_positionals) {
        return fail(ErrorCode::usage, fmt::format("{}: '{}' is one argument too many", command, word));
      }
      result.positionals_.push_back(word);
      continue;
    }
    const auto equals = word.find('=');
    const auto name = word.substr(0, equals);
    const auto option = std::ranges::find(options, name, &OptionInfo::name);
    if (option == options.end()) return fail(ErrorCode::usage, fmt::format("{}: no option {}", command, name));
    std::string value;
    if (equals != std::string::npos) {
      if (option->takes == Takes::nothing)
        return fail(ErrorCode::usage, fmt::format("{}: {} takes no value", command, name));
      value = word.substr(equals + 1);
    } else if (option->takes == Takes::value) {
      if (i + 1 == words.size()) return fail(ErrorCode::usage, fmt::format("{}: {} wants {}", command, name, option->value));
      value = words[++i];
    }
    result.options_.emplace(name, std::move(value));
  }
  return result;
}

std::string Arguments::value(std::string_view option) const {
  const auto [begin, end] = options_.equal_range(option);
  return begin == end ? "" : std::prev(end)->second;
}

std::vector<std::string> Arguments::values(std::string_view option) const {
  std::vector<std::string> all;
  const auto [begin, end] = options_.equal_range(option);
  for (auto it = begin; it != end; ++it) all.push_back(it->second);
  return all;
}

Result<std::optional<std::uint64_t>> Arguments::number(std::string_view option) const {
  if (!has(option)) return std::nullopt;
  const auto text = value(option);
  if (const auto number = parse_number(text)) return number;
  return fail(ErrorCode::usage, fmt::format("{}: {} wants a number, not '{}'", command_, option, text));
}

std::optional<std::uint64_t> parse_address(std::string_view text) {
  if (!text.starts_with("0x") && !text.starts_with("0X")) return parse_number(text);
  text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace stacktide
