// Rules files: what they mean, and what is said of those that mean nothing.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "analyze/rules.h"

#include <doctest/doctest.h>

#include "analyze/quantity.h"
#include "base/closest.h"

using namespace stacktide;

namespace {

using Lines = std::vector<std::string>;

Lines errors_of(std::string_view text) {
  const auto rules = parse_rules(text, "r.toml");
  return rules ? Lines{} : rules.error();
}

std::string rule(std::string_view more) { return "[[rule]]\nname = 'a'\nmetric = 'growths'\nmax = 1\n" + std::string(more); }

}  // namespace

TEST_CASE("a rule says what it says") {
  const auto rules = parse_rules(R"(# comment
[[rule]]
name = "small"
metric = "largest_stack"
entry = "^work"
label = "conn"
function = "parse"
max = "64KiB"
tolerance = "10%"
level = "warning"
optional = true

[[rule]]
name = "quick"
metric = "longest_growth"
tolerance = "2ms"
)",
                                 "r.toml");
  REQUIRE(rules);
  REQUIRE(rules->rules.size() == 2);
  const auto& small = rules->rules[0];
  CHECK(small.name == "small");
  CHECK(small.metric == Metric::largest_stack);
  CHECK(small.max == 65536);
  CHECK(small.tolerance->relative);
  CHECK(small.tolerance->amount == 10);
  CHECK(small.warning);
  CHECK(small.optional);
  CHECK(small.entry->pattern->matches("worker"));
  CHECK_FALSE(small.entry->pattern->matches("a worker"));
  CHECK(small.at.line == 2);
  const auto& quick = rules->rules[1];
  CHECK_FALSE(quick.max);
  CHECK_FALSE(quick.tolerance->relative);
  CHECK(quick.tolerance->amount == 2'000'000);
  CHECK_FALSE(quick.warning);
}

TEST_CASE("what is wrong is said with its line and column") {
  CHECK(errors_of(rule("maximum = 2\n")) == Lines{"r.toml:5:1: unknown key 'maximum'"});
  CHECK(errors_of(rule("lebel = 'error'\n")) == Lines{"r.toml:5:1: unknown key 'lebel' (did you mean label?)"});
  CHECK(errors_of("rules = 1\n") == Lines{"r.toml:1:1: unknown key 'rules': a rules file has [[rule]] tables"});
  CHECK(errors_of("[rule]\nname = 'a'\n") == Lines{"r.toml:1:2: rules are tables of an array: begin each with [[rule]]"});
  CHECK(errors_of("# nothing\n") == Lines{"r.toml:1:1: no rules: begin each with [[rule]]"});
  CHECK(errors_of("[[rule]]\n") == Lines{"r.toml:1:1: no name: a rule has one of its own",
                                         "r.toml:1:1: no metric: what is the rule about? (`stacktide trace check --explain` "
                                         "lists metrics)",
                                         "r.toml:1:1: no limit: a rule has max, or tolerance, or both"});
  CHECK(errors_of("[[rule]]\nname = 'a'\nmetric = 'hot_split'\nmax = 1\n") ==
        Lines{"r.toml:3:10: no metric 'hot_split' (did you mean hot_splits?)"});
  CHECK(errors_of("[[rule]]\nname = 'a'\nmetric = 'speed'\nmax = 1\n") ==
        Lines{"r.toml:3:10: no metric 'speed' (`stacktide trace check --explain` lists metrics)"});
  CHECK(errors_of(rule("entry = '('\n")) == Lines{"r.toml:5:9: bad pattern '(': Unmatched ( or \\("});
  CHECK(errors_of(rule("entry = 7\n")) == Lines{"r.toml:5:9: entry is text in quotes"});
  CHECK(errors_of(rule("level = 'fatal'\n")) == Lines{"r.toml:5:9: level 'fatal': error or warning"});
  CHECK(errors_of(rule("optional = 'yes'\n")) == Lines{"r.toml:5:12: optional is true or false"});
  CHECK(errors_of("[[rule]]\nname = 'a'\nmetric = 'deadlock'\nfunction = 'f'\nmax = 0\n") ==
        Lines{"r.toml:4:1: deadlock cannot be filtered by function"});
  CHECK(errors_of(rule("") + rule("")) == Lines{"r.toml:6:8: 'a' is the name of the rule in line 2 too"});
  CHECK(errors_of("[[rule]]\nname = \n") == Lines{"r.toml:2:8: no TOML: Error while parsing key-value pair: expected value, "
                                                  "saw '\\n'"});
}

TEST_CASE("all errors of a file are said, in order") {
  CHECK(errors_of("[[rule]]\nmax = -1\nname = ''\nmetric = 'growths'\ncolour = 1\n") ==
        Lines{"r.toml:2:7: out of range; wanted: a count, as 0 or 12", "r.toml:3:8: an empty name",
              "r.toml:5:1: unknown key 'colour'"});
}

TEST_CASE("limits have the units of their metric") {
  const auto limit = [](std::string_view metric, std::string_view max) {
    return errors_of("[[rule]]\nname = 'a'\nmetric = '" + std::string(metric) + "'\nmax = " + std::string(max) + "\n");
  };
  CHECK(limit("largest_stack", "'64KB'") ==
        Lines{"r.toml:4:7: bad unit in \"64KB\"; wanted: a size in bytes, as 4096, \"64K\", \"64KiB\", \"1M\" or \"1G\""});
  CHECK(limit("longest_growth", "5") ==
        Lines{"r.toml:4:7: no unit; wanted: a time, as \"500ns\", \"20us\", \"5ms\" or \"1s\""});
  CHECK(limit("longest_growth", "'5'") ==
        Lines{"r.toml:4:7: no unit in \"5\"; wanted: a time, as \"500ns\", \"20us\", \"5ms\" or \"1s\""});
  CHECK(limit("growth_time_share", "'5ms'") ==
        Lines{"r.toml:4:7: bad unit in \"5ms\"; wanted: a percentage, as 2, 0.5 or \"2%\""});
  CHECK(limit("growths", "1.5") == Lines{"r.toml:4:7: not a whole number; wanted: a count, as 0 or 12"});
  CHECK(limit("growths", "'many'") == Lines{"r.toml:4:7: \"many\" is no number; wanted: a count, as 0 or 12"});
  CHECK(limit("growths", "true") == Lines{"r.toml:4:7: not a number; wanted: a count, as 0 or 12"});
  CHECK(limit("growths", "nan") == Lines{"r.toml:4:7: out of range; wanted: a count, as 0 or 12"});
  CHECK(limit("growths", "12") == Lines{});
}

TEST_CASE("quantities") {
  CHECK(parse_quantity("64KiB", Unit::bytes) == 65536);
  CHECK(parse_quantity("64 K", Unit::bytes) == 65536);
  CHECK(parse_quantity("1.5k", Unit::bytes) == 1536);
  CHECK(parse_quantity("2M", Unit::bytes) == 2 << 20);
  CHECK(parse_quantity("1GiB", Unit::bytes) == 1 << 30);
  CHECK(parse_quantity("300", Unit::bytes) == 300);
  CHECK(parse_quantity("5ms", Unit::nanoseconds) == 5'000'000);
  CHECK(parse_quantity("1.5us", Unit::nanoseconds) == 1500);
  CHECK(parse_quantity("1s", Unit::nanoseconds) == 1'000'000'000);
  CHECK(parse_quantity("2.5%", Unit::percent) == 2.5);
  CHECK(parse_quantity("7", Unit::count) == 7);
  CHECK_FALSE(parse_quantity("0.3", Unit::bytes));
  CHECK_FALSE(parse_quantity("", Unit::count));
  CHECK_FALSE(parse_quantity("1e30", Unit::count));
  CHECK_FALSE(parse_quantity("99999999999999999999", Unit::count));
}

TEST_CASE("which word was meant") {
  const std::vector<std::string_view> words = {"growths", "hot_splits", "thrash"};
  CHECK(closest("growth", words) == "growths");
  CHECK(closest("trash", words) == "thrash");
  CHECK(closest("speed", words) == "");
  CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("a rules file that is not there") {
  const auto rules = read_rules("/nowhere/r.toml");
  REQUIRE_FALSE(rules);
  CHECK(rules.error() == Lines{"/nowhere/r.toml: No such file or directory"});
}
