#include "support/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <utility>

namespace stacktide::test {
namespace {

using Clock = std::chrono::steady_clock;

// No test needs a bigger core, and a program that reserves terabytes (AddressSanitizer's do) must not fill the disk: gcore
// writes reserved memory out as zeroes.
constexpr rlim_t kMaxCore = rlim_t{8} << 30U;

[[noreturn]] void give_up(const std::string& what) { throw std::runtime_error(what); }
[[noreturn]] void give_up_errno(const std::string& what) { give_up(fmt::format("{}: {}", what, std::strerror(errno))); }

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

struct Pipe {
  Fd read;
  Fd write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) give_up_errno("pipe2");
  return {Fd(ends[0]), Fd(ends[1])};
}

std::vector<std::string> environment(const std::vector<std::string>& additions) {
  std::vector<std::string> result;
  const auto name_of = [](std::string_view text) { return text.substr(0, text.find('=')); };
  for (char** entry = environ; *entry != nullptr; ++entry) {
    bool replaced = false;
    for (const auto& added : additions) replaced = replaced || name_of(added) == name_of(*entry);
    if (!replaced) result.emplace_back(*entry);
  }
  result.insert(result.end(), additions.begin(), additions.end());
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Forks and executes; the child sees only async-signal-safe calls. An exec that fails comes back through a pipe that a good
// exec closes.
pid_t spawn(const std::vector<std::string>& argv, const StartOptions& options, const std::string& folder, int in, int out,
            int err) {
  if (argv.empty()) give_up("no program given");
  std::vector<std::string> words = argv;
  std::vector<std::string> variables = environment(options.env);
  std::vector<char*> arguments = pointers(words);
  std::vector<char*> env = pointers(variables);
  Pipe failure = make_pipe();
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) give_up_errno("fork");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    if (options.core) {
      rlimit limit{};
      ::getrlimit(RLIMIT_CORE, &limit);
      limit.rlim_cur = std::min(limit.rlim_max, kMaxCore);
      ::setrlimit(RLIMIT_CORE, &limit);
    }
    if (options.max_file_size != 0) {
      const rlimit limit{options.max_file_size, options.max_file_size};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    // ctest leaves some of its own open.
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    if ((folder.empty() || ::chdir(folder.c_str()) == 0) && ::dup2(in, 0) >= 0 && ::dup2(out, 1) >= 0 &&
        ::dup2(err, 2) >= 0) {
      ::execvpe(arguments[0], arguments.data(), env.data());
    }
    const int reason = errno;
    [[maybe_unused]] const auto written = ::write(failure.write.get(), &reason, sizeof reason);
    ::_exit(127);
  }
  failure.write.reset();
  int reason = 0;
  if (::read(failure.read.get(), &reason, sizeof reason) == sizeof reason) {
    ::waitpid(pid, nullptr, 0);
    give_up(fmt::format("cannot run {}: {}", argv[0], std::strerror(reason)));
  }
  return pid;
}

// Moves what the pipe holds into `text`; closes the pipe at its end.
void drain(Fd& fd, std::string& text) {
  std::array<char, 65536> buffer;
  const auto got = ::read(fd.get(), buffer.data(), buffer.size());
  if (got > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
    fd.reset();
  }
}

// glibc 2.36 declares pidfd_open without extern "C", so C++ cannot link it.
Fd open_pidfd(pid_t pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

int remaining(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<Timeout>(deadline - Clock::now()).count();
  return left <= 0 ? 0 : static_cast<int>(left);
}

int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

// A write to a pipe whose reader has gone must be an error, not the end of the test.
void write_all(int fd, std::string_view text) {
  sigset_t pipe_signal;
  sigset_t before;
  ::sigemptyset(&pipe_signal);
  ::sigaddset(&pipe_signal, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  while (!text.empty()) {
    const auto done = ::write(fd, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) break;
    text.remove_prefix(static_cast<std::size_t>(done));
  }
  const int reason = errno;
  const timespec at_once{};
  while (::sigtimedwait(&pipe_signal, nullptr, &at_once) > 0) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!text.empty()) give_up(fmt::format("writing to the child: {}", std::strerror(reason)));
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

TempDir::TempDir() {
  const char* base = std::getenv("TMPDIR");
  std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/stacktide-test-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) give_up_errno("mkdtemp " + pattern);
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::operator/(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

struct Child::State {
  pid_t pid = -1;
  Fd in;
  Fd out;
  Fd pidfd;
  bool core = false;
  std::optional<int> status;  // exit code once reaped
  std::string output;
  std::size_t searched = 0;  // end of the last match
  std::string folder;
  std::optional<TempDir> own_folder;

  ~State() {
    if (pid < 0 || status) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }

  std::string wait_for(std::string_view text, bool whole_line, Timeout timeout) {
    const auto deadline = Clock::now() + timeout;
    for (;;) {
      const auto at = output.find(text, searched);
      const auto line_end = at == std::string::npos ? at : output.find('\n', at + text.size());
      if (at != std::string::npos && (!whole_line || line_end != std::string::npos)) {
        searched = whole_line ? line_end + 1 : at + text.size();
        return output;
      }
      read_more(deadline, fmt::format("\"{}\"", text));
    }
  }

  // Waits for some output, or its end.
  void read_more(Clock::time_point deadline, const std::string& wanted) {
    if (!out.open()) give_up(fmt::format("the child's output ended before {}; it was:\n{}", wanted, output));
    pollfd wait{out.get(), POLLIN, 0};
    if (::poll(&wait, 1, remaining(deadline)) == 0)
      give_up(fmt::format("no {} in time; output so far:\n{}", wanted, output));
    if (wait.revents != 0) drain(out, output);
  }
};

Child::Child(std::unique_ptr<State> state) : state_(std::move(state)) {}
Child::~Child() = default;
Child::Child(Child&&) noexcept = default;
Child& Child::operator=(Child&&) noexcept = default;

Child Child::start(const std::vector<std::string>& argv, const StartOptions& options) {
  auto state = std::make_unique<State>();
  state->folder = options.folder;
  state->core = options.core;
  if (options.core && options.folder.empty()) {
    state->own_folder.emplace();
    state->folder = state->own_folder->path();
  }
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  state->pid = spawn(argv, options, state->folder, in.read.get(), out.write.get(), out.write.get());
  state->in = std::move(in.write);
  state->out = std::move(out.read);
  state->pidfd = open_pidfd(state->pid);
  if (!state->pidfd.open()) give_up_errno("pidfd_open");
  return Child(std::move(state));
}

pid_t Child::pid() const { return state_->pid; }
const std::string& Child::folder() const { return state_->folder; }
const std::string& Child::output() const { return state_->output; }
std::string Child::wait_for_line(std::string_view text, Timeout timeout) { return state_->wait_for(text, true, timeout); }
std::string Child::wait_for_text(std::string_view text, Timeout timeout) { return state_->wait_for(text, false, timeout); }
void Child::wait_for_bytes(std::size_t total, Timeout timeout) {
  const auto deadline = Clock::now() + timeout;
  while (output().size() < total) state_->read_more(deadline, fmt::format("byte {}", total));
}
void Child::send_line(std::string_view text) { write_all(state_->in.get(), fmt::format("{}\n", text)); }
void Child::close_stdin() { state_->in.reset(); }

void Child::signal(int number) {
  if (state_->status) give_up("the child has ended");
  if (::kill(state_->pid, number) != 0) give_up_errno("kill");
}

int Child::wait(Timeout timeout) {
  const auto deadline = Clock::now() + timeout;
  while (!state_->status) {
    std::array<pollfd, 2> waits{{{state_->pidfd.get(), POLLIN, 0}, {state_->out.get(), POLLIN, 0}}};
    if (::poll(waits.data(), waits.size(), remaining(deadline)) == 0) {
      give_up(fmt::format("the child did not end within {} ms; output so far:\n{}", timeout.count(), state_->output));
    }
    if (waits[1].revents != 0) {
      drain(state_->out, state_->output);  // first all output, then the end
    } else if (waits[0].revents != 0) {
      int status = 0;
      if (::waitpid(state_->pid, &status, 0) == state_->pid) state_->status = exit_code(status);
    }
  }
  return *state_->status;
}

Output run(const std::vector<std::string>& argv, Timeout timeout, const StartOptions& options) {
  return run_with_input(argv, "", timeout, options);
}

Output run_with_input(const std::vector<std::string>& argv, std::string_view input, Timeout timeout,
                      const StartOptions& options) {
  std::optional<TempDir> own_folder;
  if (options.core && options.folder.empty()) own_folder.emplace();
  Fd in(::open(own_folder ? own_folder->path().c_str() : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!in.open()) give_up_errno("a temporary file");
  write_all(in.get(), input);
  ::lseek(in.get(), 0, SEEK_SET);
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  const pid_t pid =
      spawn(argv, options, own_folder ? own_folder->path() : options.folder, in.get(), out.write.get(), err.write.get());
  out.write.reset();
  err.write.reset();
  Fd pidfd = open_pidfd(pid);
  Output result;
  const auto deadline = Clock::now() + timeout;
  // A grandchild may hold the pipes open for longer than the program lives: the program's end ends the run.
  for (bool ended = false; !ended;) {
    std::array<pollfd, 3> waits{{{out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}, {pidfd.get(), POLLIN, 0}}};
    if (::poll(waits.data(), waits.size(), remaining(deadline)) == 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
      give_up(fmt::format("{} did not end within {} ms; output:\n{}\nerrors:\n{}", argv[0], timeout.count(), result.out,
                          result.err));
    }
    if (waits[0].revents != 0) drain(out.read, result.out);
    if (waits[1].revents != 0) drain(err.read, result.err);
    ended = waits[0].revents == 0 && waits[1].revents == 0 && waits[2].revents != 0;
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  result.exit_code = exit_code(status);
  return result;
}

std::string make_core(Child& child) {
  const std::string pattern = first_line("/proc/sys/kernel/core_pattern");
  rlimit limit{};
  ::getrlimit(RLIMIT_CORE, &limit);
  const bool by_kernel = !pattern.empty() && pattern.find_first_of("|/") == std::string::npos && limit.rlim_max != 0;
  if (!by_kernel) {
    fmt::print(
        stderr,
        "note: the kernel writes no core into the program's folder (core_pattern \"{}\", hard limit {}); gcore is used\n",
        pattern, limit.rlim_max);
    std::string path = gcore(child.pid(), child.folder().empty() ? "." : child.folder());
    child.signal(SIGKILL);
    child.wait();
    return path;
  }
  if (child.folder().empty()) give_up("make_core: start the child with StartOptions::core");
  child.signal(SIGABRT);
  if (const int code = child.wait(); code != 128 + SIGABRT)
    give_up(fmt::format("the child ended with {}, not by SIGABRT", code));
  for (const auto& entry : std::filesystem::directory_iterator(child.folder())) {
    // The usual patterns are "core", "core.%p" and the like.
    if (entry.is_regular_file() && entry.path().filename().string().starts_with(pattern.substr(0, pattern.find('%'))))
      return entry.path();
  }
  give_up(fmt::format("no core in {}; core_pattern is \"{}\"", child.folder(), pattern));
}

std::string gcore(pid_t pid, const std::string& folder) {
  // What the gcore script does, without the script: a GDB that is this test's own child ends with the test.
  std::string path = fmt::format("{}/gcore.{}", folder, pid);
  const Output made = run({"gdb", "-nx", "-batch", "-readnever", "-iex", "set pagination off", "-ex",
                           fmt::format("attach {}", pid), "-ex", "gcore " + path, "-ex", "detach"},
                          Timeout(120'000), {.env = {}, .folder = "", .core = false, .max_file_size = kMaxCore});
  if (made.exit_code != 0 || !std::filesystem::exists(path)) {
    give_up(fmt::format("gcore {} made no core:\n{}{}", pid, made.out, made.err));
  }
  return path;
}

std::string status_field(pid_t pid, std::string_view field) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.size() > field.size() && line.starts_with(field) && line[field.size()] == ':') {
      const auto start = line.find_first_not_of(" \t", field.size() + 1);
      return start == std::string::npos ? "" : line.substr(start);
    }
  }
  return "";
}

std::string test_program(std::string_view name) { return fmt::format("{}/tests/programs/{}", STACKTIDE_BUILD_DIR, name); }
std::string sample_program(std::string_view name) { return fmt::format("{}/bin/samples/{}", STACKTIDE_BUILD_DIR, name); }
std::string cli_program() { return fmt::format("{}/bin/stacktide", STACKTIDE_BUILD_DIR); }

std::string cli_output(std::vector<std::string> arguments, const std::vector<std::string>& target) {
  arguments.insert(arguments.begin(), cli_program());
  arguments.insert(arguments.end(), target.begin(), target.end());
  const Output output = run(arguments);
  if (output.exit_code != 0) throw std::runtime_error(arguments[1] + " failed:\n" + output.err + output.out);
  return output.out;
}

}  // namespace stacktide::test
