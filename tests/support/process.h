// Real programs for tests: started, waited for with a bound, made to dump core, and never left behind.
//
// Concept. A test starts a Child, waits for the line by which the program says that it is ready, looks at it, and ends it.
// Nothing sleeps: every wait ends at its condition or at its limit, and then throws std::runtime_error with all output so
// far, which doctest reports. A child dies with the test, even when the test is killed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace stacktide::test {

using Timeout = std::chrono::milliseconds;
inline constexpr Timeout kTimeout{30'000};

// A folder of its own, removed with all in it at the end.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  // path()/name
  std::string operator/(std::string_view name) const;

 private:
  std::string path_;
};

struct StartOptions {
  std::vector<std::string> env;  // "NAME=value", added to or replacing the test's own environment
  std::string folder;            // where it runs; "" is the test's own
  bool core = false;  // may dump core: RLIMIT_CORE is raised, and without `folder` it runs in a TempDir of its own
  std::uint64_t max_file_size = 0;  // bytes of any file that it writes; 0 unlimited
};

// A running program with its standard input and output; standard error goes where output goes, in order.
class Child {
 public:
  // argv[0] is looked up in PATH. Throws when it cannot be executed.
  static Child start(const std::vector<std::string>& argv, const StartOptions& options = {});
  // Kills it (SIGKILL) when it still runs, and reaps it.
  ~Child();
  Child(Child&&) noexcept;
  Child& operator=(Child&&) noexcept;

  pid_t pid() const;
  // The folder it was started in; with StartOptions::core and no folder, its TempDir.
  const std::string& folder() const;
  // Waits for a whole line that contains `text`, searching after the last match. Returns all output so far.
  std::string wait_for_line(std::string_view text, Timeout timeout = kTimeout);
  // The same without asking for the end of the line: for prompts.
  std::string wait_for_text(std::string_view text, Timeout timeout = kTimeout);
  // Waits until it has printed so many bytes in all.
  void wait_for_bytes(std::size_t total, Timeout timeout = kTimeout);
  // All that it has printed so far, as far as one of the waits has read it.
  const std::string& output() const;
  void send_line(std::string_view text);
  void close_stdin();
  void signal(int number);
  // Waits for its end, reading its output meanwhile. Its exit code, or 128 + the number of the signal that ended it.
  int wait(Timeout timeout = kTimeout);

 private:
  struct State;
  explicit Child(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct Output {
  std::string out;
  std::string err;
  int exit_code = 0;  // 128 + signal when one ended it
};

// Runs a program to its end with empty input.
Output run(const std::vector<std::string>& argv, Timeout timeout = kTimeout, const StartOptions& options = {});
// The same with this text as its standard input.
Output run_with_input(const std::vector<std::string>& argv, std::string_view input, Timeout timeout = kTimeout,
                      const StartOptions& options = {});

// A real kernel core: ends the child by SIGABRT and returns the path of the core in child.folder(). The child must have been
// started with StartOptions::core. Where the kernel hands cores to a program, or the hard limit forbids them, gcore makes it
// instead, and a note on stderr says so.
std::string make_core(Child& child);
// A core of a process that goes on running, by GDB's gcore, in `folder`.
std::string gcore(pid_t pid, const std::string& folder);

// The value of a field of /proc/PID/status ("TracerPid" -> "0"); "" when there is no such field or process.
std::string status_field(pid_t pid, std::string_view field);
// Path of a program built from tests/programs, samples, or the CLI ("stacktide").
std::string test_program(std::string_view name);
std::string sample_program(std::string_view name);
std::string cli_program();
// What `stacktide ARGUMENTS... TARGET...` prints; throws when it does not exit with 0.
std::string cli_output(std::vector<std::string> arguments, const std::vector<std::string>& target);

}  // namespace stacktide::test
