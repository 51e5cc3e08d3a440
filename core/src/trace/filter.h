// Which events a trace is about.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/pattern.h"
#include "stacktide/core/snapshot.h"

namespace stacktide {

class EventFilter {
 public:
  std::optional<std::uint64_t> goroutine;
  std::optional<Pattern> function;
  std::uint64_t size_above = 0;  // bytes: the larger of both sizes must be above this
  bool grow = true;
  bool shrink = true;
  bool segment = true;  // link and release

  // `function_name`: of the function that needed room; "" for a shrink or a release, which then meet no condition on
  // functions.
  bool matches(const StackEvent& event, const std::string& function_name);

 private:
  static constexpr std::size_t kVerdicts = 65'536;
  std::unordered_map<std::string, bool> verdicts_;  // a program has few functions that grow, and regexec is slow
};

}  // namespace stacktide
