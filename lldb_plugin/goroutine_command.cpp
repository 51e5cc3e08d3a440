#include "goroutine_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <optional>
#include <string_view>

#include "command_words.h"
#include "handle_summaries.h"
#include "host_target.h"

namespace stacktide::lldb_plugin {
namespace {

using Words = std::vector<std::string>;

// LLDB keeps every thread that was made until the process goes on; `goroutine all CMD` lets go of them after so many.
constexpr std::uint64_t kThreadsAtOnce = 512;

// A precision of printf is an int; the bound itself matters to nobody.
constexpr std::size_t kMaxPiece = 1U << 20;

// One run of the command: what it is about, and where its output goes.
class Execution {
 public:
  Execution(lldb::SBDebugger& debugger, Targets& targets, lldb::SBCommandReturnObject& result)
      : debugger_(debugger), targets_(targets), result_(result) {}

  Result<void> run(const Words& words) {
    if (words.empty()) return show_selected();
    const std::string& first = words.front();
    Words rest(words.begin() + 1, words.end());
    if (first == "help" || first == "-h" || first == "--help") return show_help(rest);
    if (first == "thread") return select_thread(rest);
    if (first == "threads") return threads(rest);
    if (first == "trace") return trace(rest);
    if (first == "all") return on_all(rest);
    if (auto id = number(first)) return on_goroutine(*id, rest);
    if (find_command(first) != nullptr) return core_command(words);
    return fail(ErrorCode::usage, fmt::format("there is no `goroutine {}`", first));
  }

 private:
  // What was selected, to put it back.
  struct Selection {
    std::uint64_t tid = 0;
    std::uint32_t frame = 0;
  };

  static Selection selection(lldb::SBProcess& process) {
    lldb::SBThread thread = process.GetSelectedThread();
    if (!thread.IsValid()) return {};
    return {thread.GetThreadID(), thread.GetSelectedFrame().GetFrameID()};
  }

  // A goroutine's thread may have been dropped since; it is made again.
  void restore(TargetState& state, lldb::SBProcess& process, const Selection& selected) {
    lldb::SBThread thread = process.GetThreadByID(selected.tid);
    if (!thread.IsValid() && is_goroutine_tid(selected.tid)) {
      if (auto session = state.session()) {
        if (auto goroutine = (*session)->goroutine(goroutine_of_tid(selected.tid))) {
          if (auto made = state.thread_of(**goroutine)) thread = *made;
        }
      }
    }
    if (!thread.IsValid()) return;
    process.SetSelectedThread(thread);
    thread.SetSelectedFrame(selected.frame);
  }

  // As it is; PutCString and AppendMessage end each piece with a newline of their own.
  void out(std::string_view text) {
    while (!text.empty()) {
      auto piece = text.substr(0, kMaxPiece);
      result_.Printf("%.*s", static_cast<int>(piece.size()), piece.data());
      text.remove_prefix(piece.size());
    }
  }

  CommandOptions options(TargetState& state) {
    CommandOptions options;
    options.host = HostKind::lldb;
    std::FILE* file = debugger_.GetOutputFileHandle();
    options.terminal = file != nullptr && ::isatty(::fileno(file)) == 1;
    options.colour = options.terminal && debugger_.GetUseColor();
    options.width = options.terminal ? debugger_.GetTerminalWidth() : 0;
    lldb::SBProcess process = state.target().GetProcess();
    std::uint64_t tid = selection(process).tid;
    (is_goroutine_tid(tid) ? options.current_goroutine : options.current_thread) =
        is_goroutine_tid(tid) ? goroutine_of_tid(tid) : tid;
    return options;
  }

  Result<void> core_command(const Words& words) {
    TargetState* state = STACKTIDE_TRY(targets_.selected());
    Session* session = STACKTIDE_TRY(state->session());
    CommandResult done = stacktide::run(*session, words, options(*state));
    out(done.out);
    std::vector<std::string> problems = problem_lines(done.err);
    if (done.exit_code != 2) {
      for (const std::string& problem : problems) result_.AppendWarning(fmt::format("stacktide: {}", problem).c_str());
      return {};
    }
    std::string text;
    for (const std::string& problem : problems)
      text += fmt::format("{}stacktide: {}", text.empty() ? "" : "\nerror: ", problem);
    result_.SetError(text.empty() ? "stacktide: the command failed" : text.c_str());
    return {};
  }

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

  // Makes the goroutine LLDB's selected thread, and remembers the OS thread to come back to.
  Result<lldb::SBThread> select(TargetState& state, Goroutine& goroutine) {
    lldb::SBProcess process = STACKTIDE_TRY(state.process());
    std::uint64_t before = selection(process).tid;
    lldb::SBThread thread = STACKTIDE_TRY(state.thread_of(goroutine));
    if (before != 0 && !is_goroutine_tid(before)) state.previous_thread = before;
    process.SetSelectedThread(thread);
    return thread;
  }

  void describe_thread(lldb::SBThread& thread) {
    lldb::SBStream stream;
    if (thread.GetStatus(stream) && stream.GetData() != nullptr) out({stream.GetData(), stream.GetSize()});
  }

  Result<void> on_goroutine(std::uint64_t id, const Words& words) {
    if (!words.empty() && is_core_command_on_goroutine(words.front())) {
      Words command{words.front(), std::to_string(id)};
      command.insert(command.end(), words.begin() + 1, words.end());
      return core_command(command);
    }
    if (!words.empty() && is_core_command_on_program(words.front())) return not_about_one(words.front());
    TargetState* state = STACKTIDE_TRY(targets_.selected());
    Session* session = STACKTIDE_TRY(state->session());
    Goroutine* goroutine = STACKTIDE_TRY(session->goroutine(id));
    lldb::SBProcess process = STACKTIDE_TRY(state->process());
    Selection before = selection(process);
    std::uint32_t stop = process.GetStopID();
    lldb::SBThread thread = STACKTIDE_TRY(select(*state, *goroutine));
    state->keep(id);
    if (words.empty()) {
      out(session->thread_name(*goroutine) + "\n");
      describe_thread(thread);
      return {};
    }
    if (auto error = host_command(command_line(words), thread)) result_.SetError(error->c_str());
    if (process.IsValid() && process.GetStopID() == stop && is_readable(process)) restore(*state, process, before);
    return {};
  }

  // Runs a command of LLDB's on this thread, with its output in ours; its error, if it failed. While our command runs, the
  // interpreter's idea of what is selected is that of its start, so the frame is given with the command.
  std::optional<std::string> host_command(const std::string& line, lldb::SBThread& thread) {
    lldb::SBCommandReturnObject done;
    lldb::SBExecutionContext context(thread.GetSelectedFrame());
    debugger_.GetCommandInterpreter().HandleCommand(line.c_str(), context, done, false);
    if (done.GetOutputSize() > 0) out({done.GetOutput(), done.GetOutputSize()});
    std::string_view errors = done.GetErrorSize() > 0 ? std::string_view(done.GetError(), done.GetErrorSize()) : "";
    while (errors.ends_with('\n')) errors.remove_suffix(1);
    if (done.Succeeded()) {
      if (!errors.empty()) result_.AppendWarning(std::string(errors).c_str());
      return std::nullopt;
    }
    if (errors.starts_with("error: ")) errors.remove_prefix(7);  // SetError adds it again
    return std::string(errors.empty() ? "the command failed" : errors);
  }

  static Result<void> not_about_one(const std::string& word) {
    return fail(ErrorCode::not_supported,
                fmt::format("goroutine {} is not about one goroutine: it takes no id before it", word));
  }

  Result<void> core_command_on_all(Session& session, Snapshot& snapshot, const Words& words) {
    for (Goroutine& goroutine : snapshot.goroutines) {
      if (interrupted()) break;
      out(session.thread_name(goroutine) + "\n");
      Words command{words.front(), std::to_string(goroutine.id)};
      command.insert(command.end(), words.begin() + 1, words.end());
      STACKTIDE_TRY(core_command(command));
    }
    return {};
  }

  // An error on one goroutine is printed below it and does not hide the others; the command fails when it failed on all.
  Result<void> on_all(const Words& words) {
    if (words.empty()) return fail(ErrorCode::usage, "goroutine all CMD: which command?");
    TargetState* state = STACKTIDE_TRY(targets_.selected());
    Session* session = STACKTIDE_TRY(state->session());
    Snapshot* snapshot = STACKTIDE_TRY(session->snapshot());
    if (is_core_command_on_program(words.front())) return not_about_one(words.front());
    if (is_core_command_on_goroutine(words.front())) return core_command_on_all(*session, *snapshot, words);
    lldb::SBProcess process = STACKTIDE_TRY(state->process());
    Selection before = selection(process);
    std::uint32_t stop = process.GetStopID();
    std::string line = command_line(words);
    std::string error;
    std::uint64_t succeeded = 0;
    std::uint64_t made = 0;
    for (Goroutine& goroutine : snapshot->goroutines) {
      if (interrupted()) break;
      out(session->thread_name(goroutine) + "\n");
      auto thread = state->thread_of(goroutine);
      if (!thread) {
        error = "stacktide: " + describe(thread.error());
        out("error: " + error + "\n");
        continue;
      }
      process.SetSelectedThread(*thread);
      if (auto failed = host_command(line, *thread)) {
        error = *failed;
        out("error: " + error + "\n");
      } else {
        ++succeeded;
      }
      if (process.GetStopID() != stop || !is_readable(process)) {
        result_.AppendWarning("stacktide: the process went on; the other goroutines are left out");
        return {};
      }
      if (++made % kThreadsAtOnce == 0) state->drop_unkept_threads();
    }
    state->drop_unkept_threads();
    restore(*state, process, before);
    if (succeeded == 0 && !error.empty()) result_.SetError(error.c_str());
    return {};
  }

  bool interrupted() { return was_interrupted(debugger_.GetCommandInterpreter()); }
  // Older LLDBs have no such question; a template, so that their headers compile.
  template <class Interpreter>
  static bool was_interrupted(Interpreter interpreter) {
    if constexpr (requires { interpreter.WasInterrupted(); }) return interpreter.WasInterrupted();
    return false;
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

  lldb::SBDebugger& debugger_;
  Targets& targets_;
  lldb::SBCommandReturnObject& result_;
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
