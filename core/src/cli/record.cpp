// `stacktide record`: runs a program with a trace file set, and finishes the file when the program has ended.
//
// Concept. The program's runtime writes the file itself (STACKTIDE_TRACE); this process only waits, and then appends what
// the program cannot know: its exit status, and the names of the code that the trace refers to, so that the file means
// something when the executable is gone. The program's own exit status becomes ours, as with strace and perf. Signals from
// the terminal reach the program directly, since it is in the same process group; those sent to us are passed on.
#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "analyze/quantity.h"
#include "cli/files.h"
#include "command/arguments.h"
#include "stacktide/trace_file.h"
#include "trace/recording.h"
#include "trace/symbol_writer.h"
#include "view/text.h"

namespace stacktide::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kUsage = 2;
constexpr double kLeastLimit = 1 << 20;  // bytes, as the runtime wants it
constexpr std::string_view kDefaultFile = "stacktide.stt";

constexpr std::string_view kHelp =
    R"(stacktide record [-o FILE] [OPTIONS] -- PROGRAM [ARGUMENTS]

Runs PROGRAM and records what its goroutines and their stacks do: every growth, shrink, link and release with the calls
that led to it, every spawn, exit, wait and wake. PROGRAM is linked with stacktide's runtime; its exit status is passed on.

  -o FILE          where to, stacktide.stt by default; %p stands for the process id, for a program that starts others
  --full WHAT      wait (default) or drop: what happens when records come faster than the file grows; those dropped are counted
  --limit SIZE     the most that the file may become, such as 500M; what comes later is counted as lost
  --quiet          no summary line

  stacktide record -o t.stt -- ./server --port 8080
  stacktide record -o t.%p.stt -- make test
  stacktide trace summary t.stt

Without this program: STACKTIDE_TRACE=t.stt ./server, and STACKTIDE_TRACE_FULL and _LIMIT for the options. Such a
file is read with the help of the executable, as long as that is the same build.
)";

constexpr std::array kOptions = {
    OptionInfo{"-o", Takes::value, "FILE", ""},          OptionInfo{"--output", Takes::value, "FILE", ""},
    OptionInfo{"--full", Takes::value, "wait|drop", ""}, OptionInfo{"--limit", Takes::value, "SIZE", ""},
    OptionInfo{"--quiet", Takes::nothing, "", ""},       OptionInfo{"--help", Takes::nothing, "", ""},
};

Done misuse(std::string text) { return {kUsage, "", std::move(text)}; }

volatile std::sig_atomic_t child = 0;

void pass_on(int signal) {
  if (child > 0) kill(child, signal);
}

struct Ended {
  pid_t pid;
  int status;  // as waitpid() says
};

// Nothing, and errno, when the program could not be started.
std::optional<Ended> run_program(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::array<int, 2> failure{};
  if (pipe2(failure.data(), O_CLOEXEC) != 0) return std::nullopt;
  // The terminal sends these to both; the program decides.
  struct sigaction ignore {};
  struct sigaction interrupt {};
  struct sigaction quit {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGINT, &ignore, &interrupt);
  sigaction(SIGQUIT, &ignore, &quit);
  const pid_t pid = fork();
  if (pid == 0) {
    sigaction(SIGINT, &interrupt, nullptr);
    sigaction(SIGQUIT, &quit, nullptr);
    execvp(arguments[0], arguments.data());
    const int error = errno;
    if (write(failure[1], &error, sizeof error) != sizeof error) _exit(126);
    _exit(127);
  }
  close(failure[1]);
  if (pid < 0) {
    close(failure[0]);
    return std::nullopt;
  }
  child = pid;
  struct sigaction forward {};
  forward.sa_handler = pass_on;
  for (const int signal : {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) sigaction(signal, &forward, nullptr);
  int error = 0;
  while (read(failure[0], &error, sizeof error) < 0 && errno == EINTR) {
  }
  close(failure[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  child = 0;
  if (error == 0) return Ended{pid, status};
  errno = error;
  return std::nullopt;
}

// The trace files that `pattern` stands for.
std::vector<std::string> files_of(const std::string& pattern) {
  std::string wild;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '%' && i + 1 < pattern.size() && (pattern[i + 1] == 'p' || pattern[i + 1] == '%')) {
      wild += pattern[i + 1] == 'p' ? "[0-9]*" : "%";
      ++i;
    } else {
      if (std::strchr("*?[\\", pattern[i]) != nullptr) wild += '\\';
      wild += pattern[i];
    }
  }
  std::vector<std::string> files;
  glob_t found{};
  if (glob(wild.c_str(), 0, nullptr, &found) == 0) files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  return files;
}

// Lines for stderr about a file that was written since `began`; nothing for an older one.
std::optional<std::string> finish(const std::string& file, std::int64_t began, const Ended& ended, bool quiet) {
  std::optional<int> status;
  {
    const auto written = Recording::open(file);
    if (!written || written->info().header.started_realtime < began) return std::nullopt;
    // It may be of a process that our program started.
    if (written->info().header.pid == static_cast<std::uint32_t>(ended.pid)) status = ended.status;
  }
  std::string text;
  if (const auto done = append_symbols(file, status); !done) text += describe(done.error()) + "\n";
  const auto recording = Recording::open(file);
  if (!recording) return text + describe(recording.error()) + "\n";
  const auto& info = recording->info();
  if (info.header.lost != 0)
    text += fmt::format("{}: {} records were lost for want of room{}\n", file, info.header.lost,
                        info.header.waits != 0 ? ": a full disk, or --limit" : ", as --full=drop allows");
  if (!quiet)
    text += fmt::format("{}: {} records, {}; stacktide trace summary {}\n", file, info.records, size_text(info.size), file);
  return text;
}

// Where the program begins among the words: behind "--", else at the first word that is no option's.
std::size_t program_at(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--" || !words[i].starts_with("-")) return i;
    const auto option = std::ranges::find(kOptions, words[i], &OptionInfo::name);
    if (option != kOptions.end() && option->takes == Takes::value) ++i;
  }
  return words.size();
}

bool is_other_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::uint64_t magic = STACKTIDE_TRACE_MAGIC;
  file.read(reinterpret_cast<char*>(&magic), sizeof magic);
  return file.gcount() != 0 && magic != STACKTIDE_TRACE_MAGIC && magic != 0;
}

}  // namespace

Done record(const std::vector<std::string>& words) {
  const auto at = program_at(words);
  const std::vector<std::string> own(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(at));
  const auto rest = at + (at < words.size() && words[at] == "--" ? 1 : 0);
  const std::vector<std::string> program(words.begin() + static_cast<std::ptrdiff_t>(rest), words.end());
  const auto arguments = Arguments::parse("record", own, kOptions, 0);
  if (!arguments) return misuse(arguments.error().context + " (see stacktide record --help)");
  if (arguments->has("--help")) return {0, std::string(kHelp), ""};
  if (program.empty()) return misuse("record: which program? stacktide record -o t.stt -- PROGRAM ARGUMENTS");
  std::string file = arguments->has("--output") ? arguments->value("--output") : arguments->value("-o");
  if (file.empty()) file = kDefaultFile;
  const auto full = arguments->value("--full");
  if (arguments->has("--full") && full != "wait" && full != "drop")
    return misuse(fmt::format("record: --full is wait or drop, not '{}'", full));
  const auto limit = parse_quantity(arguments->has("--limit") ? arguments->value("--limit") : "1M", Unit::bytes);
  if (!limit || *limit < kLeastLimit)
    return misuse(fmt::format("record: --limit wants a size from 1M, such as 500M, not '{}'", arguments->value("--limit")));
  // Absolute: the program may go elsewhere before it starts its runtime.
  std::error_code error;
  const auto path = fs::absolute(file, error);
  if (error) return misuse(fmt::format("record: {}: {}", file, error.message()));
  if (!fs::is_directory(path.parent_path(), error))
    return misuse(fmt::format("record: there is no folder {}: make it first", path.parent_path().string()));
  if (is_other_file(path))
    return misuse(fmt::format("record: {} is no trace, and is not overwritten: name another file with -o", file));
  setenv("STACKTIDE_TRACE", path.c_str(), 1);
  if (arguments->has("--full")) setenv("STACKTIDE_TRACE_FULL", full.c_str(), 1);
  if (arguments->has("--limit"))
    setenv("STACKTIDE_TRACE_LIMIT", fmt::format("{}", static_cast<std::uint64_t>(*limit)).c_str(), 1);
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t began = now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
  const auto ended = run_program(program);
  if (!ended) return misuse(fmt::format("record: {} cannot be started: {}", program.front(), std::strerror(errno)));
  Done done;
  const int status = ended->status;
  done.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (WIFSIGNALED(status))
    done.err +=
        fmt::format("{} was ended by signal {} ({})\n", program.front(), WTERMSIG(status), strsignal(WTERMSIG(status)));
  bool recorded = false;
  for (const auto& written : files_of(path.string())) {
    const auto text = finish(written, began, *ended, arguments->has("--quiet"));
    recorded = recorded || text.has_value();
    done.err += text.value_or("");
  }
  if (recorded) return done;
  done.err += fmt::format("{} recorded nothing: it did not come to run(), or is not built with stacktide_goroutines()\n",
                          program.front());
  if (done.exit_code == 0) done.exit_code = kUsage;
  return done;
}

}  // namespace stacktide::cli
