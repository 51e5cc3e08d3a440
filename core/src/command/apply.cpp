#include "stacktide/core/apply.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "command/arguments.h"

namespace stacktide {
namespace {

using Range = std::pair<std::uint64_t, std::uint64_t>;

// "7", or "3-7". Nothing for another word: a command begins.
std::optional<Range> range_of(std::string_view word) {
  const auto dash = word.find('-');
  const auto first = parse_number(word.substr(0, dash));
  if (!first) return std::nullopt;
  if (dash == std::string_view::npos) return Range{*first, *first};
  const auto last = parse_number(word.substr(dash + 1));
  if (!last) return std::nullopt;
  return Range{*first, *last};
}

}  // namespace

Result<Apply> plan_apply(Session& session, const std::vector<std::string>& words) {
  Apply apply;
  std::vector<Range> ranges;
  bool all = false;
  for (; apply.used < words.size(); ++apply.used) {
    const auto& word = words[apply.used];
    if (ranges.empty() && word == "all") {
      all = true;
      ++apply.used;
      break;
    }
    const auto range = range_of(word);
    if (!range) break;
    if (range->first > range->second) return fail(ErrorCode::usage, fmt::format("apply: the range {} is empty", word));
    ranges.push_back(*range);
  }
  if (!all && ranges.empty()) return fail(ErrorCode::usage, "apply: which goroutines? ids, ranges as 3-7, or all");
  for (; apply.used < words.size(); ++apply.used) {
    const auto& word = words[apply.used];
    if (word == "-q") {
      apply.quiet = true;
    } else if (word == "-s") {
      apply.silent = true;
    } else {
      break;
    }
  }
  if (apply.used == words.size()) return fail(ErrorCode::usage, "apply: which command?");
  const auto* snapshot = STACKTIDE_TRY(session.snapshot());
  if (all) ranges.emplace_back(0, ~std::uint64_t{0});
  for (const auto& [first, last] : ranges) {
    if (first == last) {
      apply.ids.push_back(STACKTIDE_TRY(session.goroutine(first))->id);
      continue;
    }
    const auto before = apply.ids.size();
    for (const auto& goroutine : snapshot->goroutines) {
      if (goroutine.id >= first && goroutine.id <= last) apply.ids.push_back(goroutine.id);
    }
    if (apply.ids.size() == before && !all)
      return fail(ErrorCode::no_such_goroutine, fmt::format("no goroutine has an id from {} to {}", first, last));
  }
  return apply;
}

}  // namespace stacktide
