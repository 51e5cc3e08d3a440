// The command table: names, options, help and handlers in one place. Help, completion and dispatch are made from it.
#pragma once

#include <functional>
#include <span>

#include "command/arguments.h"
#include "stacktide/core/command.h"
#include "view/text.h"

namespace stacktide {

struct CommandContext {
  Session& session;
  const Arguments& arguments;
  const CommandOptions& options;
  Style style;
};

struct CommandEntry {
  CommandInfo info;
  std::span<const OptionInfo> options;
  std::size_t max_positionals = 0;
  // Errors end as exit code 2 with one line; a partial result is a CommandResult of code 3.
  Result<CommandResult> (*handler)(const CommandContext&) = nullptr;
};

std::span<const CommandEntry> command_table();
const CommandEntry* find_command(std::string_view name);

Result<CommandResult> run_list(const CommandContext& context);
Result<CommandResult> run_backtrace(const CommandContext& context);
Result<CommandResult> run_stack(const CommandContext& context);
Result<CommandResult> run_scheduler(const CommandContext& context);
Result<CommandResult> run_history(const CommandContext& context);
Result<CommandResult> run_splits(const CommandContext& context);  // history --splits
Result<CommandResult> run_stackmap(const CommandContext& context);
Result<CommandResult> run_prologue(const CommandContext& context);
Result<CommandResult> run_whereis(const CommandContext& context);
Result<CommandResult> run_audit(const CommandContext& context);
Result<CommandResult> run_runtime(const CommandContext& context);

// ---- What the handlers share ----

// The goroutine that the host has selected, 0 none.
std::uint64_t current_goroutine(const CommandContext& context);
// The goroutine that the first argument names, else the current one. Errors: usage, no_such_goroutine.
Result<Goroutine*> wanted_goroutine(const CommandContext& context, std::string_view command);
// Why a feature is off, as an error: the line of Runtime::disabled that ends in "<feature> is off".
Error feature_off(const Snapshot& snapshot, std::string_view feature);
// Names the function that needed room, when that is not done yet.
void name_function(Session& session, StackEvent& event);
// Adds warnings to result.err, and makes its exit code 3 when there are any.
void warn(CommandResult& result, const std::vector<std::string>& lines);
void warn(CommandResult& result, const std::vector<Error>& errors);
// The damage of the target as a whole.
void warn_of_target(CommandResult& result, const Snapshot& snapshot);

}  // namespace stacktide
