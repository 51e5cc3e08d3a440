#include "goroutine_command.h"

#include <fmt/format.h>

#include <exception>
#include <optional>
#include <string_view>

#include "command_words.h"
#include "contexts.h"
#include "handle_summaries.h"
#include "step.h"

namespace stacktide::lldb_plugin {
namespace {

using Words = std::vector<std::string>;

// One run of the command: what it is about, and where its output goes.
class Execution : private Contexts {
 public:
  using Contexts::Contexts;

  Result<void> run(const Words& words) {
    if (words.empty()) return show_selected();
    const std::string& first = words.front();
    Words rest(words.begin() + 1, words.end());
    if (first == "help" || first == "-h" || first == "--help") return show_help(rest);
    if (first == "thread") return select_thread(rest);
    if (first == "threads") return threads(rest);
    if (first == "trace") return trace(rest);
    if (first == "all") return on_all(rest);
    if (first == "apply") return apply(rest);
    if (first == "next") return next(rest);
    if (first == "finish") return finish(rest);
    if (auto id = number(first)) return on_goroutine(*id, rest);
    if (find_command(first) != nullptr) return core_command(words);
    return fail(ErrorCode::not_supported, fmt::format("no goroutine command \"{}\"; try: goroutine help", first));
  }

 private:
  Result<void> show_help(const Words& words) {
    CommandResult text = help(words, HostKind::lldb);
    out(text.out);
    if (text.exit_code != 0) {
      std::vector<std::string> problems = problem_lines(text.err);
      return fail(ErrorCode::not_supported, problems.empty() ? "no help for that" : problems.front());
    }
    if (words.empty()) out(kHostHelp);
    return {};
  }

  Result<void> show_selected() {
    TargetState* state = STACKTIDE_TRY(targets_.selected());
    Session* session = STACKTIDE_TRY(state->session());
    STACKTIDE_TRY(session->snapshot());
    lldb::SBProcess process = STACKTIDE_TRY(state->process());
    std::uint64_t tid = selection(process).tid;
    Goroutine* goroutine =
        is_goroutine_tid(tid) ? STACKTIDE_TRY(session->goroutine(goroutine_of_tid(tid))) : session->goroutine_of_thread(tid);
    if (goroutine == nullptr) {
      out(fmt::format("no goroutine is selected: thread {} runs none\n", tid));
    } else {
      out(session->thread_name(*goroutine) + "\n");
    }
    return {};
  }

  // Steps that know frames while stacks move.

  Result<void> next(const Words& words) {
    std::optional<std::uint64_t> count = words.size() == 1 ? number(words.front()) : std::uint64_t{1};
    if (words.size() > 1 || !count || *count == 0)
      return fail(ErrorCode::not_supported, "goroutine next takes how many lines, as in: goroutine next 3");
    TargetState* state = STACKTIDE_TRY(targets_.selected());
    out(STACKTIDE_TRY(Stepper(debugger_, *state).next(*count)));
    return {};
  }

  Result<void> finish(const Words& words) {
    if (!words.empty())
      return fail(ErrorCode::not_supported, "goroutine finish takes no arguments: it is about the selected frame");
    TargetState* state = STACKTIDE_TRY(targets_.selected());
    out(STACKTIDE_TRY(Stepper(debugger_, *state).finish()));
    return {};
  }

  Result<void> select_thread(const Words& words) {
    if (!words.empty()) return fail(ErrorCode::usage, "goroutine thread takes no arguments");
    TargetState* state = STACKTIDE_TRY(targets_.selected());
    STACKTIDE_TRY(state->session());  // a thread of an earlier process is forgotten
    lldb::SBProcess process = STACKTIDE_TRY(state->process());
    lldb::SBThread thread = process.GetThreadByID(state->previous_thread);
    if (state->previous_thread == 0 || !thread.IsValid()) {
      thread = process.GetSelectedThread();
      // LLDB puts the process's own threads first.
      if (is_goroutine_tid(thread.GetThreadID())) thread = process.GetThreadAtIndex(0);
    }
    if (!thread.IsValid()) return fail(ErrorCode::damaged_data, "LLDB shows no thread of the process");
    process.SetSelectedThread(thread);
    describe_thread(thread);
    return {};
  }

  Result<void> threads(const Words& words) {
    constexpr const char* kUsage = "goroutine threads on [LIMIT], or goroutine threads off";
    if (words.empty() || words.size() > 2) return fail(ErrorCode::usage, kUsage);
    TargetState* state = STACKTIDE_TRY(targets_.selected());
    if (words.front() == "off" && words.size() == 1) {
      state->threads_off();
      return {};
    }
    std::optional<std::uint64_t> limit = words.size() == 2 ? number(words[1]) : kDefaultThreadLimit;
    if (words.front() != "on" || !limit || *limit == 0) return fail(ErrorCode::usage, kUsage);
    auto counts = STACKTIDE_TRY(state->threads_on(*limit));
    if (!counts.started) {
      out("the runtime has not started yet: goroutines will be threads once it has\n");
      return {};
    }
    out(fmt::format("{} goroutines are threads now", counts.added));
    if (counts.running != 0) out(fmt::format("; {} run on threads of the process", counts.running));
    if (counts.without != 0) out(fmt::format("; {} have no saved context", counts.without));
    if (counts.left_out != 0) {
      out(fmt::format("; {} more: `goroutine threads on {}`", counts.left_out, counts.added + counts.left_out));
    }
    out("\n");
    return {};
  }

  Result<void> trace(const Words& words) {
    TargetState* state = STACKTIDE_TRY(targets_.selected());
    out(STACKTIDE_TRY(state->trace().run(words, options(*state))));
    return {};
  }
};

}  // namespace

bool GoroutineCommand::DoExecute(lldb::SBDebugger debugger, char** words, lldb::SBCommandReturnObject& result) {
  try {
    result.SetStatus(lldb::eReturnStatusSuccessFinishResult);
    Words all = prefix_;
    for (char** word = words; word != nullptr && *word != nullptr; ++word) all.emplace_back(*word);
    if (auto done = Execution(debugger, *targets_, result).run(all); !done) {
      result.SetError(fmt::format("stacktide: {}", describe(done.error())).c_str());
    }
  } catch (const std::exception& error) {
    result.SetError(fmt::format("stacktide: internal error: {}", error.what()).c_str());
  } catch (...) {
    result.SetError("stacktide: internal error");
  }
  return result.Succeeded();
}

bool add_goroutine_commands(lldb::SBDebugger& debugger) {
  lldb::SBCommandInterpreter interpreter = debugger.GetCommandInterpreter();
  auto targets = std::make_shared<Targets>(debugger);
  // LLDB takes ownership of both.
  if (!interpreter
           .AddCommand("goroutine", new GoroutineCommand(targets, {}),
                       "Look into goroutines and their stacks. `goroutine help` lists its commands.")
           .IsValid()) {
    return false;
  }
  if (!interpreter.CommandExists("info") && !interpreter.AliasExists("info")) {
    lldb::SBCommand info = interpreter.AddMultiwordCommand("info", "Stacktide's command by the name that it has in GDB.");
    if (info.IsValid())
      info.AddCommand("goroutines", new GoroutineCommand(targets, {"list"}), "The same as `goroutine list`.");
  }
  add_handle_summaries(debugger, targets->handle_sessions());
  return true;
}

}  // namespace stacktide::lldb_plugin
