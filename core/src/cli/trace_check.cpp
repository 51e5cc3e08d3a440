// `stacktide trace check`: a recording against a file of rules, for people and for CI.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "analyze/check.h"
#include "cli/files.h"
#include "cli/terminal.h"
#include "trace/recording_source.h"
#include "view/check.h"

namespace stacktide::cli {
namespace {

constexpr int kUsage = 2;

constexpr std::string_view kHelp =
    R"(stacktide trace check TRACE --rules FILE [--baseline TRACE] [OPTIONS]
stacktide trace check --explain [RULE|METRIC] [--rules FILE]

Checks a recording against rules. Each failure names the goroutines' entry function, the function to blame, who called it,
file and line, and the numbers.

  --rules FILE        the rules, TOML; without TRACE, for --explain
  --baseline TRACE    an older recording, for rules with a tolerance
  --top N             functions to name for each rule that fails; default 5
  --junit FILE        also write JUnit XML
  --sarif FILE        also write SARIF 2.1.0, for code scanning
  --github            also print GitHub annotations; on by itself where GITHUB_ACTIONS=true, unless with --json
  --source-root DIR   files in SARIF and annotations are relative to it; default: the current folder
  --explain [WORD]    what a metric or one of the rules means, how it is computed, how to cure it; alone: all metrics
  --json              JSON instead of text
  --color WHEN        auto, always or never

a rules file:
  [[rule]]
  name = "requests stay small"   # what reports call it
  metric = "largest_stack"       # --explain lists them
  entry = "^handle"              # filters, regular expressions: entry function, label, function
  max = "64KiB"                  # the most that is right
  tolerance = "10%"              # and the most beyond the baseline; or "4KiB", 3, "2ms"
  level = "warning"              # reported, does not fail; default "error"
  optional = true                # holds when nothing matches its filters, which else is an error

examples:
  stacktide record -o t.stt -- ./server --self-test
  stacktide trace check t.stt --rules stacktide.toml
  stacktide trace check t.stt --rules stacktide.toml --baseline main.stt --junit stacks.xml --sarif stacks.sarif
  stacktide trace check --explain hot_splits

exit codes: 0 all rules hold; 1 some fail; 2 usage, rules or a trace that cannot be read; 3 none fails, but the trace is incomplete
)";

struct CheckWords {
  std::string trace;
  std::string rules;
  std::string baseline;
  std::string junit;
  std::string sarif;
  std::string root;
  std::string explain;
  std::string colour = "auto";
  std::size_t top = 5;
  bool github = false;
  bool json = false;
  bool help = false;
  bool explains = false;
};

Result<CheckWords> parse_words(std::vector<std::string> words) {
  CheckWords parsed;
  CLI::App app;
  app.set_help_flag();
  app.add_option("TRACE", parsed.trace);
  app.add_option("--rules", parsed.rules);
  app.add_option("--baseline", parsed.baseline);
  app.add_option("--junit", parsed.junit);
  app.add_option("--sarif", parsed.sarif);
  app.add_option("--source-root", parsed.root);
  auto* explain = app.add_option("--explain", parsed.explain)->expected(0, 1);
  app.add_option("--color,--colour", parsed.colour)->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_option("--top", parsed.top)->check(CLI::PositiveNumber);
  auto* json = app.add_flag("--json", parsed.json);
  app.add_flag("--github", parsed.github)->excludes(json);
  app.add_flag("--help", parsed.help);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the end
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return fail(ErrorCode::usage, fmt::format("trace check: {} (see stacktide trace check --help)", error.what()));
  }
  parsed.explains = explain->count() != 0;
  return parsed;
}

Style style_of(const CheckWords& words) {
  auto style = standard_style();
  if (words.colour != "auto") style.colour = words.colour == "always";
  return style;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

Done usage(std::string text) { return {kUsage, "", std::move(text)}; }

Done explain(const CheckWords& words) {
  const auto style = style_of(words);
  if (words.explain.empty()) return {0, explain_metrics(style), ""};
  if (!words.rules.empty()) {
    const auto rules = read_rules(words.rules);
    if (!rules) return usage(joined(rules.error()));
    for (const auto& rule : rules->rules) {
      if (rule.name == words.explain) return {0, explain_rule(*rules, rule, style), ""};
    }
  }
  if (const auto* metric = find_metric(words.explain)) return {0, explain_metric(*metric, style), ""};
  if (words.rules.empty())
    return usage(fmt::format("no metric '{}' (--explain alone lists them; of a rule: --rules FILE too)", words.explain));
  return usage(fmt::format("no rule '{}' in {}, and no metric (--explain alone lists metrics)", words.explain, words.rules));
}

// Absolute, and without symbolic links where it exists, as compilers record it.
std::string source_root(const CheckWords& words) {
  std::error_code ignored;
  const auto root = std::filesystem::weakly_canonical(words.root.empty() ? "." : words.root, ignored);
  return root.generic_string();
}

Result<bool> write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) return fail(ErrorCode::io_error, fmt::format("cannot write {}", path));
  return true;
}

// A trace file, opened, with the names that it needs.
struct Opened {
  explicit Opened(Recording&& recording) : file(std::move(recording)), source(file) {}
  Recording file;
  RecordingSource source;
};

Result<std::unique_ptr<Opened>> open_trace(const std::string& path) {
  return std::make_unique<Opened>(STACKTIDE_TRY(Recording::open(path)));
}

Result<Done> print(const CheckWords& words, const CheckReport& report) {
  const auto root = source_root(words);
  if (!words.junit.empty()) STACKTIDE_TRY(write_file(words.junit, check_junit(report)));
  if (!words.sarif.empty()) STACKTIDE_TRY(write_file(words.sarif, check_sarif(report, root, STACKTIDE_VERSION)));
  if (words.json) return Done{report.exit_code(), check_json(report), ""};
  const char* actions = std::getenv("GITHUB_ACTIONS");
  const bool github = words.github || (actions != nullptr && std::string_view(actions) == "true");
  auto text = check_text(report, style_of(words));
  if (github) text += check_github(report, root);
  return Done{report.exit_code(), std::move(text), ""};
}

Result<Done> check_trace(const CheckWords& words) {
  const auto rules = read_rules(words.rules);
  if (!rules) return usage(joined(rules.error()));
  const auto trace = STACKTIDE_TRY(open_trace(words.trace));
  std::unique_ptr<Opened> baseline;
  if (!words.baseline.empty()) baseline = STACKTIDE_TRY(open_trace(words.baseline));
  const auto report = check(*rules, trace->source, baseline ? &baseline->source : nullptr, {words.top});
  if (!report) return usage(joined(report.error()));
  auto done = STACKTIDE_TRY(print(words, *report));
  done.err = joined(trace->source.warnings());
  return done;
}

}  // namespace

Done trace_check(const std::vector<std::string>& words) {
  const auto parsed = parse_words(words);
  if (!parsed) return usage(parsed.error().context);
  if (parsed->help) return {0, std::string(kHelp), ""};
  if (parsed->explains) return explain(*parsed);
  if (parsed->trace.empty()) return usage("trace check: of which trace? (see stacktide trace check --help)");
  if (parsed->rules.empty()) return usage("trace check: which rules? give --rules FILE (see stacktide trace check --help)");
  const auto done = check_trace(*parsed);
  if (!done) return usage(describe(done.error()));
  return *done;
}

}  // namespace stacktide::cli
