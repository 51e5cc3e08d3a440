#include "analyze/rules.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <map>

#include "analyze/quantity.h"
#include "base/closest.h"
#include "base/mapped_file.h"
#include "base/printable.h"

namespace stacktide {
namespace {

constexpr std::size_t kMaxBytes = 1 << 20;  // a rules file is written by hand
constexpr std::array<std::string_view, 9> kKeys = {"name", "metric",    "entry", "label",   "function",
                                                   "max",  "tolerance", "level", "optional"};

RulePosition position_of(const toml::source_region& region) { return {region.begin.line, region.begin.column}; }
RulePosition position_of(const toml::node& node) { return position_of(node.source()); }

std::string meant(std::string_view word, const auto& words) {
  const auto best = closest(word, words);
  return best.empty() ? "" : fmt::format(" (did you mean {}?)", best);
}

std::vector<std::string_view> metric_names() {
  std::vector<std::string_view> names;
  for (const auto& metric : metrics()) names.push_back(metric.name);
  return names;
}

class Reader {
 public:
  explicit Reader(RuleSet& rules) : rules_(rules) {}

  void read(const toml::table& document) {
    for (const auto& [key, node] : document) {
      if (key == "rule" && node.is_array_of_tables()) {
        for (const auto& rule : *node.as_array()) read_rule(*rule.as_table());
      } else if (key == "rule") {
        complain(position_of(key.source()), "rules are tables of an array: begin each with [[rule]]");
      } else {
        complain(position_of(key.source()), fmt::format("unknown key '{}': a rules file has [[rule]] tables", text_of(key)));
      }
    }
    if (rules_.rules.empty() && errors_.empty()) complain({1, 1}, "no rules: begin each with [[rule]]");
  }

  std::vector<std::string> errors() {
    std::ranges::stable_sort(errors_, [](const auto& a, const auto& b) {
      return std::pair(a.first.line, a.first.column) < std::pair(b.first.line, b.first.column);
    });
    std::vector<std::string> lines;
    for (const auto& [at, text] : errors_) lines.push_back(at_position(rules_, at, text));
    return lines;
  }

 private:
  static std::string text_of(const toml::key& key) { return printable(key.str()); }

  void complain(RulePosition at, std::string text) { errors_.emplace_back(at, std::move(text)); }

  void read_rule(const toml::table& table) {
    Rule rule;
    rule.at = position_of(table);
    for (const auto& [key, node] : table) {
      if (std::ranges::find(kKeys, key.str()) == kKeys.end())
        complain(position_of(key.source()), fmt::format("unknown key '{}'{}", text_of(key), meant(key.str(), kKeys)));
    }
    read_name(rule, table);
    const auto* metric = read_metric(rule, table);
    const auto may = [&](bool MetricInfo::* takes) { return metric == nullptr || metric->*takes; };
    read_filter(rule.entry, table, "entry", metric, may(&MetricInfo::takes_entry));
    read_filter(rule.label, table, "label", metric, may(&MetricInfo::takes_label));
    read_filter(rule.function, table, "function", metric, may(&MetricInfo::takes_function));
    read_flags(rule, table);
    if (metric != nullptr) read_limits(rule, table, metric->unit);
    if (!table.contains("max") && !table.contains("tolerance"))
      complain(rule.at, "no limit: a rule has max, or tolerance, or both");
    rules_.rules.push_back(std::move(rule));
  }

  // The value of a key that is text; nothing, and an error, when it is something else.
  std::optional<std::string> text_at(const toml::table& table, std::string_view key) {
    const auto* node = table.get(key);
    if (node == nullptr) return std::nullopt;
    if (const auto* text = node->as_string()) return text->get();
    complain(position_of(*node), fmt::format("{} is text in quotes", key));
    return std::nullopt;
  }

  void read_name(Rule& rule, const toml::table& table) {
    if (!table.contains("name")) return complain(rule.at, "no name: a rule has one of its own");
    const auto name = text_at(table, "name");
    if (!name) return;
    const auto at = position_of(*table.get("name"));
    rule.name = printable(*name);
    if (rule.name.empty()) return complain(at, "an empty name");
    const auto [other, is_new] = names_.emplace(rule.name, at);
    if (!is_new) complain(at, fmt::format("'{}' is the name of the rule in line {} too", rule.name, other->second.line));
  }

  const MetricInfo* read_metric(Rule& rule, const toml::table& table) {
    if (!table.contains("metric")) {
      complain(rule.at, "no metric: what is the rule about? (`stacktide trace check --explain` lists metrics)");
      return nullptr;
    }
    const auto name = text_at(table, "metric");
    if (!name) return nullptr;
    rule.metric_at = position_of(*table.get("metric"));
    const auto* found = find_metric(*name);
    if (found == nullptr) {
      auto hint = meant(*name, metric_names());
      if (hint.empty()) hint = " (`stacktide trace check --explain` lists metrics)";
      complain(rule.metric_at, fmt::format("no metric '{}'{}", printable(*name), hint));
      return nullptr;
    }
    rule.metric = found->metric;
    return found;
  }

  void read_filter(std::optional<RuleFilter>& filter, const toml::table& table, std::string_view key,
                   const MetricInfo* metric, bool allowed) {
    const auto text = text_at(table, key);
    if (!text) return;
    if (!allowed) {
      for (const auto& [own, node] : table) {
        if (own == key) complain(position_of(own.source()), fmt::format("{} cannot be filtered by {}", metric->name, key));
      }
      return;
    }
    const auto at = position_of(*table.get(key));
    auto pattern = Pattern::compile(*text);
    if (!pattern) return complain(at, pattern.error().context);
    filter = RuleFilter{*text, at, std::make_shared<const Pattern>(std::move(*pattern))};
  }

  void read_flags(Rule& rule, const toml::table& table) {
    if (const auto level = text_at(table, "level")) {
      rule.warning = *level == "warning";
      if (!rule.warning && *level != "error")
        complain(position_of(*table.get("level")), fmt::format("level '{}': error or warning", printable(*level)));
    }
    if (const auto* node = table.get("optional")) {
      if (const auto* value = node->as_boolean()) {
        rule.optional = value->get();
      } else {
        complain(position_of(*node), "optional is true or false");
      }
    }
  }

  std::optional<double> quantity(const toml::node& node, Unit unit) {
    std::expected<double, std::string> value = std::unexpected(fmt::format("not a number; wanted: {}", wanted(unit)));
    if (const auto* text = node.as_string()) {
      value = parse_quantity(text->get(), unit);
    } else if (const auto* whole = node.as_integer()) {
      value = plain_quantity(static_cast<double>(whole->get()), unit);
    } else if (const auto* number = node.as_floating_point()) {
      value = plain_quantity(number->get(), unit);
    }
    if (value) return *value;
    complain(position_of(node), value.error());
    return std::nullopt;
  }

  void read_limits(Rule& rule, const toml::table& table, Unit unit) {
    if (const auto* node = table.get("max")) rule.max = quantity(*node, unit);
    const auto* node = table.get("tolerance");
    if (node == nullptr) return;
    const auto* text = node->as_string();
    const bool relative = text != nullptr && text->get().ends_with('%');
    const auto amount = quantity(*node, relative ? Unit::percent : unit);
    if (!amount) return;
    std::string written = text != nullptr ? text->get() : fmt::format("{}", *amount);
    rule.tolerance = Tolerance{*amount, relative, position_of(*node), std::move(written)};
  }

  RuleSet& rules_;
  std::vector<std::pair<RulePosition, std::string>> errors_;
  std::map<std::string, RulePosition> names_;
};

}  // namespace

std::string at_position(const RuleSet& rules, RulePosition at, std::string_view text) {
  return fmt::format("{}:{}:{}: {}", rules.path, at.line, at.column, text);
}

std::expected<RuleSet, std::vector<std::string>> parse_rules(std::string_view toml, const std::string& path) {
  RuleSet rules;
  rules.path = path;
  Reader reader(rules);
  try {
    reader.read(toml::parse(toml, path));
  } catch (const toml::parse_error& error) {
    // The one exception of this library: it does not get further.
    return std::unexpected(
        std::vector{at_position(rules, position_of(error.source()), fmt::format("no TOML: {}", error.description()))});
  }
  if (auto errors = reader.errors(); !errors.empty()) return std::unexpected(std::move(errors));
  return rules;
}

std::expected<RuleSet, std::vector<std::string>> read_rules(const std::string& path) {
  const auto file = MappedFile::open(path);
  if (!file) return std::unexpected(std::vector{describe(file.error())});
  if (file->bytes().size() > kMaxBytes)
    return std::unexpected(std::vector{fmt::format("{} is no rules file: it has {} bytes", path, file->bytes().size())});
  return parse_rules({reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()}, path);
}

}  // namespace stacktide
