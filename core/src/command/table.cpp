#include "command/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace stacktide {
namespace {

constexpr OptionInfo kJson{"--json", Takes::nothing, "", "print JSON, schema stacktide/1"};
constexpr OptionInfo kJsonLines{"--json", Takes::maybe_value, "lines",
                                "print JSON, schema stacktide/1; --json=lines: one object per line"};
constexpr OptionInfo kAll{"--all", Takes::nothing, "", "show everything, also at a prompt"};

constexpr std::array kListOptions = {
    OptionInfo{"--with", Takes::value, "FIELD=REGEX", "only goroutines whose field matches; may be repeated"},
    OptionInfo{"--without", Takes::value, "FIELD=REGEX", "only goroutines whose field does not match"},
    OptionInfo{"--users", Takes::nothing, "", "leave out the runtime's own goroutines"},
    OptionInfo{"--system", Takes::nothing, "", "only the runtime's own goroutines"},
    OptionInfo{"--group", Takes::value, "status|entry|stack", "count equal ones"},
    OptionInfo{"--sort", Takes::value, "FIELD", "order by a field; -FIELD: largest first"},
    OptionInfo{"--limit", Takes::value, "N", "at most N rows; 0: all"},
    kAll,
    kJsonLines,
};
constexpr std::array kBacktraceOptions = {
    OptionInfo{"--limit", Takes::value, "N", "the N innermost frames of each; 0: all"},
    OptionInfo{"--no-group", Takes::nothing, "", "with all: do not join equal stacks"},
    kJson,
};
constexpr std::array kRuntimeOptions = {
    OptionInfo{"--layout", Takes::nothing, "", "draw the address space of the process"},
    kJson,
};
constexpr std::array kHistoryOptions = {
    OptionInfo{"--limit", Takes::value, "N", "the N latest events, or the N hottest splits; 0: all"},
    OptionInfo{"--splits", Takes::nothing, "", "the calls that led from one segment to another, most frequent first"},
    kAll,
    kJsonLines,
};
constexpr std::array kStackmapOptions = {
    OptionInfo{"--frame", Takes::value, "N", "only the frame that bt numbers so"},
    OptionInfo{"--all", Takes::nothing, "", "every word on a row of its own"},
    kJson,
};
constexpr std::array kPrologueOptions = {
    OptionInfo{"--limit", Takes::value, "N", "explain at most N functions, 8 without this; 0: all"},
    kJson,
};
constexpr std::array kAuditOptions = {OptionInfo{"--waiting", Takes::value, "SECONDS", "how long is long; default 60"}, kAll,
                                      kJson};
constexpr std::array kOnlyJson = {kJson};
constexpr std::array kWhereisOptions = {
    OptionInfo{"--as", Takes::value, "TYPE",
               "take it for the address of a channel, mutex, wait_group, poll_descriptor or goroutine"},
    kJson};

// Lines that begin with "$ " are examples; help writes them as the host does.
constexpr std::array kCommands = {
    CommandEntry{
        {"list", "", "goroutines, one per row: status, place, stack size and use",
         "Sizes are bytes. used: from the top of the stack to sp, over all segments; headroom: from sp down to the\n"
         "guard; grows: how often the stack was copied to a larger one. '?' is what could not be found out.\n"
         "syscall: in blocking(), or in a library call that lasts; wait-reason is then the function's name.\n"
         "At a prompt, above 200 rows, goroutines that stand in the same place share a row.\n"
         "Fields: id status wait_reason function file line entry label size used headroom high_water grows links\n"
         "shrinks hot_splits bytes_copied system m parent wait_ns guard_state.\n"
         "$ list\n"
         "$ list --with wait_reason=chan --sort -used --limit 20\n"
         "$ list --group stack"},
        kListOptions,
        0,
        run_list},
    CommandEntry{{"bt", "[ID|all]", "a goroutine's frames: function, arguments, file and line, CFA, frame size",
                  "Without an ID: the goroutine selected in the debugger. all: equal stacks are printed once.\n"
                  "$ bt 7\n"
                  "$ bt all"},
                 kBacktraceOptions,
                 1,
                 run_backtrace},
    CommandEntry{{"stack", "[ID]", "a goroutine's stack to scale: guard, use, segments, what comes next, frame sizes",
                  "'#' is in use, '.' was in use at some time, '-' lies below the guard.\n"
                  "$ stack 7"},
                 kOnlyJson,
                 1,
                 run_stack},
    CommandEntry{
        {"sched", "", "the scheduler: Ps with run queues, Ms with thread stacks, idle ones",
         "in call: the library function that an M's goroutine is in; it has given its P away.\n"
         "watching: an idle M that sleeps until a file descriptor is ready for one of the goroutines that wait for some.\n"
         "guard: bytes below the stack that must not be touched. CPU: where the thread last ran; a core does not tell.\n"
         "$ sched"},
        kOnlyJson,
        0,
        run_scheduler},
    CommandEntry{{"history", "[ID]", "how stacks grew and shrank, from the events that the runtime keeps in memory",
                  "Times are seconds since the runtime started. lost: events that later ones have overwritten.\n"
                  "Splits are counted by function and caller, over all goroutines and from the start.\n"
                  "$ history\n"
                  "$ history --splits\n"
                  "$ history 7 --limit 20"},
                 kHistoryOptions,
                 1,
                 run_history},
    CommandEntry{{"stackmap", "[ID|FUNC|PC]", "which words of a goroutine's frames are pointers, and what they point to",
                  "Words are named by their distance from the CFA. scalar: for certain no pointer; unknown: perhaps one.\n"
                  "'!' marks pointers into another goroutine's stack, or into one that was left or freed.\n"
                  "FUNC, a name or a regular expression, or PC: the maps of its calls, without values.\n"
                  "$ stackmap 7\n"
                  "$ stackmap 7 --frame 3\n"
                  "$ stackmap recurse"},
                 kStackmapOptions,
                 1,
                 run_stackmap},
    CommandEntry{
        {"prologue", "FUNC|PC", "a function's stack check, instruction by instruction: class, frame size, guard, slow path",
         "Finds the check of -fsplit-stack (GCC, Clang) and Go's; says why when there is none. Needs no runtime.\n"
         "FUNC is a name, as bt shows it or as the linker knows it, or else a regular expression.\n"
         "small: rsp itself is compared; big: rsp less the frame; huge: so large that it decides the new stack's size.\n"
         "Exit code 2 when FUNC matches more functions than --limit; they are listed then.\n"
         "$ prologue main\n"
         "$ prologue 0x5581a0b4c2d0\n"
         "$ prologue '^parser::' --limit 0"},
        kPrologueOptions,
        1,
        run_prologue},
    CommandEntry{
        {"whereis", "ADDR", "what lies at an address: a stack, one that was left, and where its object is now, code, data",
         "Of what goroutines wait for, it says who does. Exit code 1 when no memory is there.\n"
         "$ whereis 0x7f10c0002000"},
        kWhereisOptions,
        1,
        run_whereis},
    CommandEntry{{"audit", "",
                  "checks stacks and queues: pointers that cross stacks or outlive them, canaries, guards; deadlocks, "
                  "suspected leaks",
                  "Pointers are followed in the frames of goroutines whose registers are known, and in the program's data.\n"
                  "Goroutines leak when nobody will wake them: 10 or more that have waited long in one place are noted,\n"
                  "unless they wait for file descriptors.\n"
                  "A note is nothing wrong. Exit code 1 when there are findings.\n"
                  "$ audit\n"
                  "$ audit --waiting 600"},
                 kAuditOptions,
                 0,
                 run_audit},
    CommandEntry{
        {"runtime", "", "the target and its runtime: descriptor, ABI, policy, constants, what is off or damaged",
         "--layout: text, heap, the arena of goroutine stacks and the threads' stacks, where the process has them.\n"
         "$ runtime\n"
         "$ runtime --layout"},
        kRuntimeOptions,
        0,
        run_runtime},
};

template <std::size_t... I>
constexpr auto infos(std::index_sequence<I...>) {
  return std::array{kCommands[I].info...};
}
constexpr auto kInfos = infos(std::make_index_sequence<kCommands.size()>());

constexpr std::size_t kMaxWarnings = 20;

}  // namespace

std::span<const CommandEntry> command_table() { return kCommands; }
std::span<const CommandInfo> commands() { return kInfos; }

const CommandEntry* find_command(std::string_view name) {
  const auto found = std::ranges::find_if(kCommands, [&](const CommandEntry& entry) { return entry.info.name == name; });
  return found == kCommands.end() ? nullptr : &*found;
}

CommandResult run(Session& session, const std::vector<std::string>& words, const CommandOptions& options) {
  CommandResult result;
  const auto refuse = [&](const Error& error) {
    result.err += describe(error) + "\n";
    result.exit_code = 2;
    return result;
  };
  if (words.empty()) return refuse({ErrorCode::usage, 0, "which command?"});
  const auto* entry = find_command(words[0]);
  if (entry == nullptr) return refuse({ErrorCode::usage, 0, fmt::format("no command '{}'", words[0])});
  const auto arguments = Arguments::parse(words[0], std::span(words).subspan(1), entry->options, entry->max_positionals);
  if (!arguments) return refuse(arguments.error());
  const CommandContext context{session, *arguments, options, {options.colour, options.terminal ? options.width : 0}};
  auto done = entry->handler(context);
  if (!done) {
    refuse(done.error());
    // Nothing could be read at all: what is missing from the target is why.
    if (!session.snapshot()) warn(result, session.target().damage());
    return result;
  }
  return std::move(*done);
}

void name_function(Session& session, StackEvent& event) {
  if (event.pc == 0 || !event.function.empty()) return;
  // The check stands in the function's own prologue, whatever is inlined there.
  const auto levels = session.symbolize(event.pc, false);
  event.function = levels.back().function;
  event.file = levels.back().file;
  event.line = levels.back().line;
}

std::uint64_t current_goroutine(const CommandContext& context) {
  if (context.options.current_goroutine != 0) return context.options.current_goroutine;
  const auto* found = context.session.goroutine_of_thread(context.options.current_thread);
  return found == nullptr ? 0 : found->id;
}

Result<Goroutine*> wanted_goroutine(const CommandContext& context, std::string_view command) {
  const auto& positionals = context.arguments.positionals();
  if (positionals.empty()) {
    STACKTIDE_TRY(context.session.snapshot());
    const auto id = current_goroutine(context);
    if (id == 0) return fail(ErrorCode::usage, fmt::format("{}: which goroutine? give its id", command));
    return context.session.goroutine(id);
  }
  const auto id = parse_number(positionals[0]);
  if (!id) return fail(ErrorCode::usage, fmt::format("{}: '{}' is not the id of a goroutine", command, positionals[0]));
  return context.session.goroutine(*id);
}

Error feature_off(const Snapshot& snapshot, std::string_view feature) {
  for (const auto& line : snapshot.runtime.disabled) {
    if (line.find(feature) == std::string::npos || !line.ends_with(" off")) continue;
    // Only of another version may another stacktide know more.
    const bool missing = line.find(" is not exported: ") != std::string::npos;
    return {missing ? ErrorCode::not_supported : ErrorCode::unsupported_contract, 0, line};
  }
  return {ErrorCode::unsupported_contract, 0, fmt::format("{} is off", feature)};
}

void warn(CommandResult& result, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  if (result.exit_code == 0) result.exit_code = 3;
  for (std::size_t i = 0; i < std::min(lines.size(), kMaxWarnings); ++i)
    result.err += fmt::format("warning: {}\n", lines[i]);
  if (lines.size() > kMaxWarnings) result.err += fmt::format("warning: and {} more\n", lines.size() - kMaxWarnings);
}

void warn(CommandResult& result, const std::vector<Error>& errors) {
  std::vector<std::string> lines;
  for (const auto& error : errors) lines.push_back(describe(error));
  warn(result, lines);
}

void warn_of_target(CommandResult& result, const Snapshot& snapshot) { warn(result, snapshot.damage); }

}  // namespace stacktide
