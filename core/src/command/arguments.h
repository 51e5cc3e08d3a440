// The words after a command's name: positional arguments and options, checked against the command's own table of options.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stacktide/core/result.h"

namespace stacktide {

enum class Takes : std::uint8_t { nothing, value, maybe_value };  // maybe_value: only as --name=value

struct OptionInfo {
  std::string_view name;  // "--limit"
  Takes takes = Takes::nothing;
  std::string_view value;  // what help calls it: "N"
  std::string_view help;
};

class Arguments {
 public:
  // Errors: usage, naming the word.
  static Result<Arguments> parse(std::string_view command, std::span<const std::string> words,
                                 std::span<const OptionInfo> options, std::size_t max_positionals);

  const std::vector<std::string>& positionals() const { return positionals_; }
  bool has(std::string_view option) const { return options_.contains(option); }
  // The last value given; "" without one.
  std::string value(std::string_view option) const;
  // All values of an option that may be repeated.
  std::vector<std::string> values(std::string_view option) const;
  // A number; nothing when the option is not there. Error: usage.
  Result<std::optional<std::uint64_t>> number(std::string_view option) const;

 private:
  std::string command_;
  std::vector<std::string> positionals_;
  std::multimap<std::string, std::string, std::less<>> options_;
};

// A line per option, for help.
std::string options_text(std::span<const OptionInfo> options);

// All digits, below 2^64; nothing otherwise.
std::optional<std::uint64_t> parse_number(std::string_view text);

// "0x7f10c0002000", or a decimal number; nothing otherwise.
std::optional<std::uint64_t> parse_address(std::string_view text);

}  // namespace stacktide
