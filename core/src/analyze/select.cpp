#include "analyze/select.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>

#include "analyze/stack_report.h"

namespace stacktide {
namespace {

constexpr std::array<std::string_view, 22> kFields = {
    "id",   "status",     "wait_reason",  "function",   "file",   "line",       "entry",   "label",
    "size", "used",       "headroom",     "high_water", "grows",  "links",      "shrinks", "system",
    "m",    "hot_splits", "bytes_copied", "wait_ns",    "parent", "guard_state"};

FieldValue of(std::uint64_t value) { return {fmt::format("{}", value), static_cast<std::int64_t>(value)}; }

// What is not known matches only an empty pattern, and sorts before all else.
template <class Number>
FieldValue of(const std::optional<Number>& value) {
  if (!value) return {"", std::numeric_limits<std::int64_t>::min()};
  return {fmt::format("{}", *value), static_cast<std::int64_t>(*value)};
}

Result<std::string> known_field(std::string_view name) {
  std::string field(name);
  std::ranges::replace(field, '-', '_');
  if (std::ranges::find(kFields, field) != kFields.end()) return field;
  return fail(ErrorCode::usage, fmt::format("no field '{}': there are {}", name, fmt::join(kFields, ", ")));
}

}  // namespace

std::span<const std::string_view> field_names() { return kFields; }

bool is_located_field(std::string_view name) {
  return name == "function" || name == "file" || name == "line" || name == "entry";
}

std::optional<FieldValue> field_of(const Goroutine& g, std::string_view name) {
  if (name == "id") return of(g.id);
  if (name == "status") return FieldValue{g.status, {}};
  if (name == "wait_reason") return FieldValue{g.wait_reason, {}};
  if (name == "function") return FieldValue{g.function, {}};
  if (name == "file") return FieldValue{g.file, {}};
  if (name == "line") return of(g.line);
  if (name == "entry") return FieldValue{g.entry, {}};
  if (name == "label") return FieldValue{g.label, {}};
  if (name == "size") return of(g.stack.size);
  if (name == "used") return of(g.stack.used);
  if (name == "headroom") return of(g.stack.headroom);
  if (name == "high_water") return of(g.stack.high_water);
  if (name == "grows") return of(g.grows);
  if (name == "links") return of(g.links);
  if (name == "shrinks") return of(g.shrinks);
  if (name == "hot_splits") return of(g.hot_splits);
  if (name == "bytes_copied") return of(g.bytes_copied);
  if (name == "system") return of(g.system ? 1 : 0);
  if (name == "m") return g.has_m ? of(g.m) : FieldValue{"", -1};
  if (name == "wait_ns") return of(static_cast<std::uint64_t>(g.wait_ns.value_or(0)));
  if (name == "parent") return of(g.parent);
  if (name == "guard_state") return FieldValue{guard_state_name(g.stack.guard_state), {}};
  return std::nullopt;
}

Result<Condition> parse_condition(std::string_view text, bool negated) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return fail(ErrorCode::usage, fmt::format("'{}' is not field=pattern", text));
  return Condition{STACKTIDE_TRY(known_field(text.substr(0, equals))), std::string(text.substr(equals + 1)), negated};
}

Result<Matcher> Matcher::compile(const Selection& selection) {
  Matcher matcher;
  matcher.users_only_ = selection.users_only;
  matcher.system_only_ = selection.system_only;
  for (const auto& condition : selection.conditions)
    matcher.conditions_.push_back({condition.field, STACKTIDE_TRY(Pattern::compile(condition.pattern)), condition.negated});
  return matcher;
}

bool Matcher::matches(const Goroutine& g) const {
  if ((users_only_ && g.system) || (system_only_ && !g.system)) return false;
  return std::ranges::all_of(conditions_, [&](const Compiled& condition) {
    const auto value = field_of(g, condition.field);
    return value && condition.pattern.matches(value->text) != condition.negated;
  });
}

Result<std::vector<Goroutine*>> select(std::vector<Goroutine>& goroutines, const Selection& selection) {
  const auto matcher = STACKTIDE_TRY(Matcher::compile(selection));
  std::vector<Goroutine*> rows;
  for (auto& g : goroutines) {
    if (matcher.matches(g)) rows.push_back(&g);
  }
  if (selection.sort.empty()) return rows;

  const bool descending = selection.sort.starts_with('-');
  const auto field = STACKTIDE_TRY(known_field(std::string_view(selection.sort).substr(descending ? 1 : 0)));
  std::vector<std::pair<FieldValue, Goroutine*>> keyed;
  keyed.reserve(rows.size());
  for (auto* g : rows) keyed.emplace_back(field_of(*g, field).value_or(FieldValue{}), g);
  const auto less = [](const FieldValue& a, const FieldValue& b) {
    return a.number && b.number ? *a.number < *b.number : a.text < b.text;
  };
  std::ranges::stable_sort(
      keyed, [&](const FieldValue& a, const FieldValue& b) { return descending ? less(b, a) : less(a, b); },
      [](const auto& pair) -> const FieldValue& { return pair.first; });
  std::ranges::transform(keyed, rows.begin(), [](const auto& pair) { return pair.second; });
  return rows;
}

}  // namespace stacktide
