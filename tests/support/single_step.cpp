#include "support/single_step.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace stacktide::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Function {
  std::uint64_t address;
  std::uint64_t size;
  std::string name;
};

// The watched functions, at the addresses of the file.
std::vector<Function> functions_of(const std::string& program, const std::vector<std::string>& watched) {
  std::istringstream lines(run({"nm", "-S", program}).out);
  std::vector<Function> functions;
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    Function f;
    std::string type;
    words >> std::hex >> f.address >> f.size >> type >> f.name;
    const auto begins = [&](const std::string& prefix) { return f.name.starts_with(prefix); };
    if (words && (type == "T" || type == "t") && std::ranges::any_of(watched, begins)) functions.push_back(f);
  }
  return functions;
}

// What is to be added to an address of the file: where the program headers are, less where they would be.
std::uint64_t load_base(pid_t pid, const std::string& program) {
  Elf64_Ehdr header{};
  std::ifstream file(program, std::ios::binary);
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  if (header.e_type != ET_DYN) return 0;
  std::ifstream auxv(fmt::format("/proc/{}/auxv", pid), std::ios::binary);
  Elf64_auxv_t entry{};
  while (auxv.read(reinterpret_cast<char*>(&entry), sizeof entry)) {
    if (entry.a_type == AT_PHDR) return entry.a_un.a_val - header.e_phoff;
  }
  return 0;
}

class Stepper {
 public:
  Stepper(pid_t pid, const std::string& program, std::vector<Function> functions, int signal, Clock::time_point end)
      : pid_(pid), program_(program), functions_(std::move(functions)), signal_(signal), end_(end) {}

  StepReport run_to_end() {
    while (!ended_ && report_.problem.empty()) {
      if (Clock::now() > end_) fail("it took too long");
      int status = 0;
      const pid_t tid = waitpid(-1, &status, __WALL);
      if (tid < 0) break;
      on_event(tid, status);
    }
    if (!ended_) {
      kill(pid_, SIGKILL);
      for (int status = 0; !ended_ && waitpid(-1, &status, __WALL) > 0;) {
      }
    }
    report_.instructions.assign(interrupted_.begin(), interrupted_.end());
    return report_;
  }

 private:
  void fail(const std::string& problem) {
    if (report_.problem.empty()) report_.problem = problem;
  }

  void on_event(pid_t tid, int status) {
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (tid != pid_) return;
      ended_ = true;
      report_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      return;
    }
    const int stop = WSTOPSIG(status);
    if (status >> 16 != 0 || (stop == SIGSTOP && seen_.insert(tid).second)) {
      if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXEC << 8))) base_ = load_base(pid_, program_);
      ptrace(PTRACE_CONT, tid, nullptr, nullptr);
      return;
    }
    if (stop != SIGTRAP) {
      ptrace(tid == stepped_ && !in_handler_ ? PTRACE_SINGLESTEP : PTRACE_CONT, tid, nullptr, stop);
      return;
    }
    user_regs_struct registers{};
    ptrace(PTRACE_GETREGS, tid, nullptr, &registers);
    if (stepped_ == 0) {
      if (registers.rax == 1) {
        stepped_ = tid;
        step();
      } else {
        fail(fmt::format("a trap at {:#x} before the first mark", registers.rip));
      }
    } else if (tid == stepped_) {
      on_step(registers);
    } else {
      fail(fmt::format("a trap on another thread at {:#x}", registers.rip));
    }
  }

  void step() { ptrace(PTRACE_SINGLESTEP, stepped_, nullptr, nullptr); }

  void on_step(const user_regs_struct& registers) {
    if (done_) {
      fail(fmt::format("a trap behind the last mark at {:#x}", registers.rip));
    } else if (in_handler_) {
      in_handler_ = false;
      returning_ = true;
      if (registers.rax != 3) fail(fmt::format("the handler did not work at {}", name_of(before_.rip)));
      step();
    } else if (returning_) {
      returning_ = registers.rip != before_.rip || registers.rsp != before_.rsp;
      if (!returning_ && (registers.rax != before_.rax || registers.rbx != before_.rbx || registers.rcx != before_.rcx)) {
        fail("a signal changed registers at " + name_of(before_.rip));
      }
      step();
    } else if (is_mark(registers)) {
      done_ = true;
      ptrace(PTRACE_CONT, stepped_, nullptr, nullptr);
    } else {
      at_instruction(registers);
    }
  }

  // The last mark: a trap where an instruction ended that was no step, so it says 2.
  bool is_mark(const user_regs_struct& registers) const {
    if (registers.rax != 2) return false;
    errno = 0;
    const long word = ptrace(PTRACE_PEEKTEXT, stepped_, registers.rip - 1, nullptr);
    return errno == 0 && (word & 0xff) == 0xcc;
  }

  void at_instruction(const user_regs_struct& registers) {
    ++report_.steps;
    const std::string name = name_of(registers.rip);
    if (name.empty()) {
      step();
      return;
    }
    interrupted_.insert(name);
    ++report_.delivered;
    before_ = registers;
    in_handler_ = true;
    ptrace(PTRACE_CONT, stepped_, nullptr, signal_);
  }

  // "" outside the watched functions.
  std::string name_of(std::uint64_t address) {
    const std::uint64_t at = address - base_;
    for (const Function& f : functions_) {
      if (at - f.address < f.size) return fmt::format("{}+{:#x}", f.name, at - f.address);
    }
    return "";
  }

  const pid_t pid_;
  const std::string program_;
  const std::vector<Function> functions_;
  const int signal_;
  const Clock::time_point end_;
  std::uint64_t base_ = 0;
  std::set<pid_t> seen_;
  pid_t stepped_ = 0;
  bool in_handler_ = false;
  bool returning_ = false;
  bool done_ = false;
  bool ended_ = false;
  user_regs_struct before_{};
  std::set<std::string> interrupted_;
  StepReport report_;
};

}  // namespace

StepReport step_with_signals(const std::vector<std::string>& argv, const std::vector<std::string>& watched, int signal,
                             const std::vector<std::string>& env, Timeout timeout) {
  std::vector<Function> functions = functions_of(argv[0], watched);
  const pid_t pid = fork();
  if (pid == 0) {
    for (const std::string& setting : env) putenv(strdup(setting.c_str()));
    std::vector<char*> words;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    execv(words[0], words.data());
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
  ptrace(PTRACE_CONT, pid, nullptr, nullptr);
  return Stepper(pid, argv[0], std::move(functions), signal, Clock::now() + timeout).run_to_end();
}

}  // namespace stacktide::test
