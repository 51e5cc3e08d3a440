#include "command/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "command/arguments.h"
#include "command/moments.h"
#include "command/table.h"
#include "view/diff.h"

namespace stacktide {
namespace {

constexpr std::array kOptions = {
    OptionInfo{"--with", Takes::value, "FIELD=REGEX", "only goroutines whose field matches, as in list; may be repeated"},
    OptionInfo{"--without", Takes::value, "FIELD=REGEX", "only goroutines whose field does not match"},
    OptionInfo{"--users", Takes::nothing, "", "only the program's own goroutines"},
    OptionInfo{"--system", Takes::nothing, "", "only the runtime's goroutines"},
    OptionInfo{"--group", Takes::value, "entry|stack",
               "what makes goroutines equal: the entry function, or the whole stack (default)"},
    OptionInfo{"--top", Takes::nothing, "",
               "equal by function, line, entry and state; so always with `list`, which has no frames"},
    OptionInfo{"--frames", Takes::nothing, "", "the frames of each group that changed"},
    OptionInfo{"--limit", Takes::value, "N", "at most N rows of each table; 0 all (default 50, with --json all)"},
    OptionInfo{"--max-new", Takes::value, "N", "exit 1 when there are more than N goroutines more"},
    OptionInfo{"--max-group-growth", Takes::value, "N", "exit 1 when a group has grown by more than N goroutines"},
    OptionInfo{"--max-stack-growth", Takes::value, "SIZE",
               "exit 1 when all stacks together have grown by more: 65536, 64K, 1MiB"},
    OptionInfo{"--exe-old", Takes::value, "FILE", "the executable that dumped the core OLD, when it is not where it was"},
    OptionInfo{"--exe-new", Takes::value, "FILE", "the same of NEW"},
    OptionInfo{"--json", Takes::nothing, "", "JSON of the schema stacktide-diff/1"},
    OptionInfo{"--help", Takes::nothing, "", "this"},
};

constexpr std::size_t kRows = 50;

struct Request {
  std::array<MomentSource, 2> sources;
  MomentWish wish;
  Grouping grouping = Grouping::stack;
  bool grouping_given = false;
  DiffLimits limits;
  std::size_t limit = kRows;
  bool frames = false;
  bool json = false;
};

std::unexpected<Error> wrong(std::string text) { return fail(ErrorCode::usage, "diff: " + std::move(text)); }

Result<MomentWish> wish_of(const Arguments& arguments) {
  Selection selection;
  for (const auto* option : {"--with", "--without"}) {
    for (const auto& text : arguments.values(option))
      selection.conditions.push_back(STACKTIDE_TRY(parse_condition(text, std::string_view(option) == "--without")));
  }
  selection.users_only = arguments.has("--users");
  selection.system_only = arguments.has("--system");
  if (selection.users_only && selection.system_only) return wrong("--users and --system exclude each other");
  MomentWish wish;
  wish.matcher = STACKTIDE_TRY(Matcher::compile(selection));
  wish.located = std::ranges::any_of(selection.conditions, [](const Condition& condition) {
    // Where a goroutine inside a library call has its sp is found by unwinding.
    return is_located_field(condition.field) || condition.field == "used" || condition.field == "headroom" ||
           condition.field == "high_water";
  });
  return wish;
}

Result<Request> request_of(const Arguments& arguments) {
  Request request;
  const auto& files = arguments.positionals();
  if (files.size() != 2) return wrong("wants two files: OLD NEW");
  request.sources = {MomentSource{files[0], arguments.value("--exe-old")},
                     MomentSource{files[1], arguments.value("--exe-new")}};
  if (files[0] == "-" && files[1] == "-") return wrong("only one of both can be standard input");
  request.wish = STACKTIDE_TRY(wish_of(arguments));
  if (const auto group = arguments.value("--group"); group == "entry") {
    request.grouping = Grouping::entry;
  } else if (arguments.has("--group") && group != "stack") {
    return wrong(fmt::format("--group is entry or stack, not '{}'", group));
  }
  if (arguments.has("--top")) {
    if (request.grouping == Grouping::entry) return wrong("--top and --group entry exclude each other");
    request.grouping = Grouping::place;
  }
  request.json = arguments.has("--json");
  request.frames = arguments.has("--frames");
  request.limit = STACKTIDE_TRY(arguments.number("--limit")).value_or(request.json ? 0 : kRows);
  request.limits.most_new = STACKTIDE_TRY(arguments.number("--max-new"));
  request.limits.most_group_growth = STACKTIDE_TRY(arguments.number("--max-group-growth"));
  if (arguments.has("--max-stack-growth")) {
    const auto text = arguments.value("--max-stack-growth");
    request.limits.most_stack_growth = parse_size(text);
    if (!request.limits.most_stack_growth)
      return wrong(fmt::format("--max-stack-growth wants a size as in 65536, 64K or 1MiB, not '{}'", text));
  }
  return request;
}

Result<CommandResult> diff_of(const Request& request, const Style& style) {
  std::array<MomentKind, 2> kinds{};
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    kinds[i] = STACKTIDE_TRY(moment_kind(request.sources[i]));
    if (kinds[i] != MomentKind::core && !request.sources[i].executable.empty())
      return wrong(fmt::format("{} is no core, which alone has an executable", request.sources[i].path));
  }
  if ((kinds[0] == MomentKind::trace) != (kinds[1] == MomentKind::trace))
    return wrong("a recording can only be compared with another recording");
  const bool trace = kinds[0] == MomentKind::trace;
  auto before = STACKTIDE_TRY(read_moment(request.sources[0], kinds[0], request.wish));
  auto after = STACKTIDE_TRY(read_moment(request.sources[1], kinds[1], request.wish));
  std::vector<std::string> notes;
  if (trace) {
    if (request.grouping == Grouping::entry) {
      before.regroup(Grouping::entry);
      after.regroup(Grouping::entry);
    }
  } else {
    auto grouping = request.grouping;
    if (grouping == Grouping::stack && (before.grouping != Grouping::stack || after.grouping != Grouping::stack)) {
      grouping = Grouping::place;
      notes.emplace_back("`list` has no frames: grouped by function, line, entry and state");
    }
    for (auto* moment : {&before, &after}) {
      if (moment->grouping != grouping) moment->regroup(grouping);
    }
  }
  const auto diff = compare(before, after, request.limits);
  if (!trace && !diff.same_process)
    notes.push_back(
        fmt::format("these are two processes, {} and {}: goroutines are not compared one by one", before.pid, after.pid));
  const DiffModel model{before, after, diff, request.limit, request.frames, std::move(notes)};
  CommandResult result;
  result.out = request.json ? diff_json(model) : diff_text(model, style);
  if (!diff.findings.empty()) result.exit_code = 1;
  for (const auto* moment : {&before, &after}) {
    std::vector<std::string> lines;
    for (const auto& problem : moment->problems) lines.push_back(fmt::format("{}: {}", moment->source, problem));
    warn(result, lines);
  }
  return result;
}

}  // namespace

CommandResult run_diff(const std::vector<std::string>& words, const Style& style) {
  const auto result = [&]() -> Result<CommandResult> {
    const auto arguments = STACKTIDE_TRY(Arguments::parse("diff", words, kOptions, 2));
    if (arguments.has("--help")) return CommandResult{diff_help(), "", 0};
    return diff_of(STACKTIDE_TRY(request_of(arguments)), style);
  }();
  if (!result) return {"", describe(result.error()) + "\n", 2};
  return *result;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number(text.substr(0, digits));
  auto unit = text.substr(digits);
  if (!number) return std::nullopt;
  constexpr std::string_view kUnits = "KMGT";
  unsigned shift = 0;
  if (!unit.empty()) {
    const auto power = kUnits.find(unit[0]);
    // Not KB: half of the world means 1000 by it.
    if (power == std::string_view::npos || (unit.size() > 1 && unit.substr(1) != "iB")) return std::nullopt;
    shift = 10 * (static_cast<unsigned>(power) + 1);
  }
  if (*number > std::numeric_limits<std::uint64_t>::max() >> shift) return std::nullopt;
  return *number << shift;
}

std::string diff_help() {
  std::string text = R"(stacktide diff OLD NEW [OPTIONS]

What appeared, vanished or grew between two moments of a program. OLD and NEW are cores, or outputs of `list --json` or
`bt all --json` (- is standard input), or one of each. Or they are two recordings, which are compared by entry function
and place of creation: goroutines alive at the end, spawned and exited, growths, bytes copied, the largest stack.
Goroutines of one process are compared one by one too: which have a larger stack.

options:
)";
  for (const auto& option : kOptions) {
    auto name = std::string(option.name);
    if (!option.value.empty()) name += " " + std::string(option.value);
    text += fmt::format("  {:<25}  {}\n", name, option.help);
  }
  return text + R"(
examples:
  stacktide list --json --pid 4484 > before.json    a moment, while the program runs on
  stacktide list --json --pid 4484 | stacktide diff before.json - --max-new 0
  stacktide diff core.before core.after --frames
  stacktide diff main.stt branch.stt --max-group-growth 0

exit codes: 0 fine; 1 a limit is exceeded; 2 usage, or a file that cannot be read; 3 a file that is not whole
)";
}

}  // namespace stacktide
