// Which goroutines a list shows and in which order: --with, --without, --sort, --users, --system, --limit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/pattern.h"
#include "stacktide/core/result.h"
#include "stacktide/core/snapshot.h"

namespace stacktide {

// A field of a goroutine by its JSON name ("-" may stand for "_"): a text, or a number for sorting and its text.
struct FieldValue {
  std::string text;
  std::optional<std::int64_t> number;
};
std::optional<FieldValue> field_of(const Goroutine& goroutine, std::string_view name);
// The names that field_of knows.
std::span<const std::string_view> field_names();
// Needs frames: function, file, line and entry are empty before locate().
bool is_located_field(std::string_view name);

struct Condition {
  std::string field;
  std::string pattern;  // POSIX extended regular expression, found anywhere in the field's text
  bool negated = false;
};
// "status=waiting|running". Error: usage.
Result<Condition> parse_condition(std::string_view text, bool negated);

struct Selection {
  std::vector<Condition> conditions;
  std::string sort;  // a field, "-field" for descending, "" by id
  bool users_only = false;
  bool system_only = false;
};
// The conditions of a selection, ready to be asked of one goroutine after another.
class Matcher {
 public:
  Matcher() = default;  // lets everything through
  // Error: usage (a pattern that makes no sense).
  static Result<Matcher> compile(const Selection& selection);
  bool matches(const Goroutine& goroutine) const;

 private:
  struct Compiled {
    std::string field;
    Pattern pattern;
    bool negated;
  };
  std::vector<Compiled> conditions_;
  bool users_only_ = false;
  bool system_only_ = false;
};
// Those that meet all conditions, in order. Error: usage (a field or a pattern that makes no sense).
Result<std::vector<Goroutine*>> select(std::vector<Goroutine>& goroutines, const Selection& selection);

}  // namespace stacktide
