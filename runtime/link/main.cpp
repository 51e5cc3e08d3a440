// stacktide-link: the linker launcher of goroutine targets.
//
// It is given a whole link command and runs it, changed in what goroutine code needs: thunks that carry library calls to the
// system stack, goroutine objects first, movable code in a section of its own. Then it verifies the program that the linker
// made, and links its stack maps into it. A command without goroutine code is run as it is. The exit status is the linker's.
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "maps_object.h"
#include "plan.h"
#include "process.h"
#include "verify.h"

namespace {

constexpr const char* kHelp =
    R"(usage: stacktide-link [--stacktide-verbose] COMPILER [ARGUMENT...]

Links a program that has goroutine code. COMPILER and its arguments are the link command as it would be
without stacktide; CMake puts stacktide-link before it for targets of stacktide_goroutines().

  --stacktide-verbose  print the library functions that get a thunk, and the command that is run
  --help               print this text

The linked program is verified: goroutine code that could overrun its stack fails the link, by name.
Stack maps are made from it and linked into it; `stacktide-maps PROGRAM` shows them.
Thunks and copies of objects are kept in OUTPUT.stacktide/ beside the program; it may be deleted.
Exit status: the linker's; 1 if goroutine code cannot be linked, with the reason on standard error.
)";

int fail(const std::string& reason) {
  std::fprintf(stderr, "stacktide-link: %s\n", reason.c_str());
  return 1;
}

void print_plan(const stacktide::link::Plan& plan) {
  if (plan.plain) {
    std::fprintf(stderr, "stacktide-link: no goroutine code, the command is run as it is\n");
    return;
  }
  for (const std::string& name : plan.movable) std::fprintf(stderr, "stacktide-link: movable %s\n", name.c_str());
  for (const std::string& name : plan.pinned) std::fprintf(stderr, "stacktide-link: pinned %s\n", name.c_str());
  for (const auto& call : plan.calls.direct) {
    std::fprintf(stderr, "stacktide-link: wrap %s (%s), %u bytes of arguments\n", call.first.c_str(),
                 stacktide::link::demangle(call.first).c_str(), stacktide::link::argument_bytes(call));
  }
  std::fprintf(stderr, "stacktide-link: calls through pointers, %u bytes of arguments\n",
               stacktide::link::indirect_argument_bytes(plan.calls));
  std::string command;
  for (const std::string& word : plan.command) command += " " + word;
  std::fprintf(stderr, "stacktide-link: run%s\n", command.c_str());
}

// What cannot be linked leaves no program behind, not an older one either. As linkers do, only an ordinary file is removed.
int fail_without_program(const stacktide::link::CommandLine& line, const std::string& reason) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(std::filesystem::symlink_status(line.output, ignored)))
    std::filesystem::remove(line.output, ignored);
  return fail(reason);
}

using stacktide::link::CommandLine;
using stacktide::link::Plan;
using stacktide::link::Result;

// Makes the stack maps of the linked program, and links it once more with them; not if it has these already.
Result<int> link_with_maps(const CommandLine& line, const Plan& plan, const std::vector<std::string>& command) {
  const auto maps = stacktide::link::make_stack_maps(line.output, false);
  if (!maps) return std::unexpected(maps.error());
  const auto changed = stacktide::link::write_maps_object(line.driver, plan.directory, *maps);
  if (!changed) return std::unexpected(changed.error());
  if (!*changed) return 0;
  const auto before = stacktide::link::code_layout(line.output);
  if (!before) return std::unexpected(before.error());
  const auto status = stacktide::link::run_command(command);
  if (!status) return std::unexpected(status.error());
  if (*status != 0) return *status;
  const auto after = stacktide::link::code_layout(line.output);
  if (!after) return std::unexpected(after.error());
  if (*before != *after)
    return std::unexpected(
        "the linker laid goroutine code out in another way when it linked the same objects again, so its "
        "stack maps are wrong: leave out options that make links differ");
  return 0;
}

// Links, verifies, and maps the program at line.output.
Result<int> make_program(const CommandLine& line, const Plan& plan, const std::vector<std::string>& command) {
  const auto status = stacktide::link::run_command(command);
  if (!status) return std::unexpected(status.error());
  if (*status != 0) return *status;
  const auto definer = [&](std::string_view symbol) { return stacktide::link::unchecked_definer(line, symbol); };
  if (auto done = stacktide::link::verify(line.output, plan.expected, definer); !done) return std::unexpected(done.error());
  const auto linked = link_with_maps(line, plan, command);
  if (!linked || *linked != 0 || line.strip.empty()) return linked;
  if (auto done = stacktide::link::strip_program(line, plan.directory); !done) return std::unexpected(done.error());
  return 0;
}

// Leaves a program behind only when it is whole: whatever ends this, what stands under the name asked for is no program with
// the stack maps of another. So it is made beside that, unless something else than a file has the name.
int link_goroutine_program(const CommandLine& line, const Plan& plan) {
  std::error_code ignored;
  const auto there = std::filesystem::symlink_status(line.output, ignored);
  const bool beside = !std::filesystem::exists(there) || std::filesystem::is_regular_file(there);
  CommandLine made = line;
  std::vector<std::string> command = plan.command;
  if (beside) {
    made.output = plan.directory / "program";
    command.insert(command.end(), {"-o", made.output.string()});  // the last one counts
  }
  const auto status = make_program(made, plan, command);
  if (!status || *status != 0) {
    if (beside) std::filesystem::remove(made.output, ignored);
    if (!status) return fail_without_program(line, status.error());
    if (std::filesystem::is_regular_file(there)) std::filesystem::remove(line.output, ignored);
    return *status;
  }
  if (!beside) return 0;
  std::error_code error;
  std::filesystem::rename(made.output, line.output, error);
  return error ? fail_without_program(line, line.output.string() + ": " + error.message()) : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto line = stacktide::link::parse_command_line(arguments);
  if (!line) return fail(line.error());
  if (line->help) {
    std::fputs(kHelp, stdout);
    return 0;
  }
  const auto plan = stacktide::link::make_plan(*line);
  if (!plan) return fail_without_program(*line, plan.error());
  if (line->verbose) print_plan(*plan);
  if (!plan->plain) return link_goroutine_program(*line, *plan);
  // As given, response files and all; only our own options are left out.
  std::size_t first = 0;
  while (first < arguments.size() && arguments[first].starts_with('-')) ++first;
  const std::vector<std::string> command(arguments.begin() + static_cast<std::ptrdiff_t>(first), arguments.end());
  if (!plan->unlinkable) return fail(stacktide::link::replace_process(command));
  // Should it succeed now, its output would lack thunks: it must not pass for a program.
  const auto status = stacktide::link::run_command(command);
  if (!status) return fail(status.error());
  return *status != 0 ? *status : fail("the link failed when it was tried and now did not; run it again");
}
