#include "contexts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "command_words.h"
#include "host_target.h"
#include "stacktide/core/apply.h"

namespace stacktide::lldb_plugin {
namespace {

// LLDB keeps every thread that was made until the process goes on; `goroutine all CMD` lets go of them after so many.
constexpr std::uint64_t kThreadsAtOnce = 512;

// A precision of printf is an int; the bound itself matters to nobody.
constexpr std::size_t kMaxPiece = 1U << 20;

// Older LLDBs have no such question; a template, so that their headers compile.
template <class Interpreter>
bool was_interrupted(Interpreter interpreter) {
  if constexpr (requires { interpreter.WasInterrupted(); }) return interpreter.WasInterrupted();
  return false;
}

Result<void> not_about_one(const std::string& word) {
  return fail(ErrorCode::not_supported,
              fmt::format("goroutine {} is not about one goroutine: it takes no id before it", word));
}

}  // namespace

bool Contexts::interrupted() { return was_interrupted(debugger_.GetCommandInterpreter()); }

Contexts::Selection Contexts::selection(lldb::SBProcess& process) {
  lldb::SBThread thread = process.GetSelectedThread();
  if (!thread.IsValid()) return {};
  return {thread.GetThreadID(), thread.GetSelectedFrame().GetFrameID()};
}

// A goroutine's thread may have been dropped since; it is made again.
void Contexts::restore(TargetState& state, lldb::SBProcess& process, const Selection& selected) {
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
void Contexts::out(std::string_view text) {
  while (!text.empty()) {
    auto piece = text.substr(0, kMaxPiece);
    result_.Printf("%.*s", static_cast<int>(piece.size()), piece.data());
    text.remove_prefix(piece.size());
  }
}

CommandOptions Contexts::options(TargetState& state) {
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

Result<void> Contexts::core_command(const Words& words) {
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

// Makes the goroutine LLDB's selected thread, and remembers the OS thread to come back to.
Result<lldb::SBThread> Contexts::select(TargetState& state, Goroutine& goroutine) {
  lldb::SBProcess process = STACKTIDE_TRY(state.process());
  std::uint64_t before = selection(process).tid;
  lldb::SBThread thread = STACKTIDE_TRY(state.thread_of(goroutine));
  if (before != 0 && !is_goroutine_tid(before)) state.previous_thread = before;
  process.SetSelectedThread(thread);
  return thread;
}

void Contexts::describe_thread(lldb::SBThread& thread) {
  lldb::SBStream stream;
  if (thread.GetStatus(stream) && stream.GetData() != nullptr) out({stream.GetData(), stream.GetSize()});
}

Result<void> Contexts::on_goroutine(std::uint64_t id, const Words& words) {
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
  std::string text;
  const auto error = host_command(command_line(words), thread, text);
  out(text);
  if (error) result_.SetError(error->c_str());
  if (process.IsValid() && process.GetStopID() == stop && is_readable(process)) restore(*state, process, before);
  return {};
}

// Runs a command of LLDB's on this thread; its error, if it failed. While our command runs, the
// interpreter's idea of what is selected is that of its start, so the frame is given with the command.
std::optional<std::string> Contexts::host_command(const std::string& line, lldb::SBThread& thread, std::string& text) {
  lldb::SBCommandReturnObject done;
  lldb::SBExecutionContext context(thread.GetSelectedFrame());
  debugger_.GetCommandInterpreter().HandleCommand(line.c_str(), context, done, false);
  if (done.GetOutputSize() > 0) text.assign(done.GetOutput(), done.GetOutputSize());
  std::string_view errors = done.GetErrorSize() > 0 ? std::string_view(done.GetError(), done.GetErrorSize()) : "";
  while (errors.ends_with('\n')) errors.remove_suffix(1);
  if (done.Succeeded()) {
    if (!errors.empty()) result_.AppendWarning(std::string(errors).c_str());
    return std::nullopt;
  }
  if (errors.starts_with("error: ")) errors.remove_prefix(7);  // SetError adds it again
  return std::string(errors.empty() ? "the command failed" : errors);
}

Result<void> Contexts::on_all(const Words& words) {
  if (words.empty()) return fail(ErrorCode::not_supported, "goroutine all needs a command, as in: goroutine all bt");
  TargetState* state = STACKTIDE_TRY(targets_.selected());
  Session* session = STACKTIDE_TRY(state->session());
  Snapshot* snapshot = STACKTIDE_TRY(session->snapshot());
  Wanted wanted;
  for (const Goroutine& goroutine : snapshot->goroutines) wanted.ids.push_back(goroutine.id);
  return on_each(*state, *session, wanted, words);
}

Result<void> Contexts::apply(const Words& words) {
  TargetState* state = STACKTIDE_TRY(targets_.selected());
  Session* session = STACKTIDE_TRY(state->session());
  const Apply apply = STACKTIDE_TRY(plan_apply(*session, words));
  return on_each(*state, *session, {apply.ids, apply.quiet, apply.silent},
                 Words(words.begin() + static_cast<std::ptrdiff_t>(apply.used), words.end()));
}

Result<void> Contexts::core_command_on_each(Session& session, const Wanted& wanted, const Words& words) {
  TargetState* state = STACKTIDE_TRY(targets_.selected());
  for (const std::uint64_t id : wanted.ids) {
    if (interrupted()) break;
    Words command{words.front(), std::to_string(id)};
    command.insert(command.end(), words.begin() + 1, words.end());
    if (wanted.silent) {
      CommandResult done = stacktide::run(session, command, options(*state));
      if (done.exit_code == 2 || done.out.empty()) continue;
      name(session, id, wanted);
      out(done.out);
      continue;
    }
    name(session, id, wanted);
    STACKTIDE_TRY(core_command(command));
  }
  return {};
}

void Contexts::name(Session& session, std::uint64_t id, const Wanted& wanted) {
  if (wanted.quiet) return;
  if (auto goroutine = session.goroutine(id)) out(session.thread_name(**goroutine) + "\n");
}

// An error on one goroutine is printed below it and does not hide the others; the command fails when it failed on all.
Result<void> Contexts::on_each(TargetState& state, Session& session, const Wanted& wanted, const Words& words) {
  if (is_core_command_on_program(words.front())) return not_about_one(words.front());
  if (is_core_command_on_goroutine(words.front())) return core_command_on_each(session, wanted, words);
  lldb::SBProcess process = STACKTIDE_TRY(state.process());
  Selection before = selection(process);
  std::uint32_t stop = process.GetStopID();
  std::string line = command_line(words);
  std::string error;
  std::uint64_t succeeded = 0;
  std::uint64_t made = 0;
  for (const std::uint64_t id : wanted.ids) {
    if (interrupted()) break;
    Goroutine* goroutine = STACKTIDE_TRY(session.goroutine(id));
    if (!wanted.silent) name(session, id, wanted);
    std::optional<std::string> failed;
    std::string text;
    if (auto thread = state.thread_of(*goroutine); !thread) {
      failed = "stacktide: " + describe(thread.error());
    } else {
      process.SetSelectedThread(*thread);
      failed = host_command(line, *thread, text);
    }
    if (failed) error = *failed;
    else ++succeeded;
    if (wanted.silent && !failed && !text.empty()) name(session, id, wanted);
    if (!wanted.silent || !failed) out(text);
    if (failed && !wanted.silent) out("error: " + error + "\n");
    if (process.GetStopID() != stop || !is_readable(process)) {
      result_.AppendWarning("stacktide: the process went on; the other goroutines are left out");
      return {};
    }
    if (++made % kThreadsAtOnce == 0) state.drop_unkept_threads();
  }
  state.drop_unkept_threads();
  restore(state, process, before);
  if (succeeded == 0 && !error.empty() && !wanted.silent) result_.SetError(error.c_str());
  return {};
}

}  // namespace stacktide::lldb_plugin
