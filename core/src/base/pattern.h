// A POSIX extended regular expression that a person typed.
#pragma once

#include <fmt/format.h>
#include <regex.h>

#include <array>
#include <memory>
#include <string>

#include "stacktide/core/result.h"

namespace stacktide {

// glibc's matcher: no exceptions, and no recursion per character as in std::regex, which a long symbol would exhaust.
class Pattern {
 public:
  static Result<Pattern> compile(const std::string& text) {
    auto regex = std::make_unique<regex_t>();
    if (const int code = regcomp(regex.get(), text.c_str(), REG_EXTENDED | REG_NOSUB); code != 0) {
      std::array<char, 128> why{};
      regerror(code, regex.get(), why.data(), why.size());
      return fail(ErrorCode::usage, fmt::format("bad pattern '{}': {}", text, why.data()));
    }
    return Pattern(regex.release());
  }
  bool matches(const std::string& text) const { return regexec(regex_.get(), text.c_str(), 0, nullptr, 0) == 0; }

 private:
  struct Free {
    void operator()(regex_t* regex) const {
      regfree(regex);
      delete regex;
    }
  };
  explicit Pattern(regex_t* regex) : regex_(regex) {}
  std::unique_ptr<regex_t, Free> regex_;
};

}  // namespace stacktide
