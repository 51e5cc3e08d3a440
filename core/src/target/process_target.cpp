// A live process as a target: stopped by ptrace while open, or read as it runs.
//
// Invariants. Files are opened through /proc/PID/root, so that a container's process is read with the container's files; the
// main program and, where permitted, libraries stay reachable after their deletion through /proc/PID/exe and
// /proc/PID/map_files. A process that another tracer holds stays that tracer's: it is read without stopping it.
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>

#include "base/bytes.h"
#include "base/mapped_file.h"
#include "base/printable.h"
#include "elf/elf_headers.h"
#include "stacktide/core/target.h"
#include "target/module_list.h"
#include "target/proc_fs.h"
#include "target/kept_memory.h"
#include "target/process_memory.h"
#include "target/tracer.h"

namespace stacktide {
namespace {

std::int64_t monotonic_now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::int64_t nanoseconds(Tracer::Clock::duration duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

std::string read_link(const std::string& path) {
  std::string target(4096, '\0');
  const auto size = ::readlink(path.c_str(), target.data(), target.size());
  target.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return target;
}

// Program counter and stack pointer of a thread that stands still, which the kernel tells without ptrace: "-1 0xSP 0xPC", or
// "NUMBER 0xARG... 0xSP 0xPC" within a system call.
Registers registers_at_rest(const std::string& folder) {
  Registers registers;
  const auto status = read_status(folder);
  if (!status || (status->state != 't' && status->state != 'T')) return registers;
  const auto text = read_text_file(folder + "/syscall", 4096);
  if (!text) return registers;
  std::vector<std::uint64_t> words;
  for (std::size_t at = text->find("0x"); at != std::string::npos; at = text->find("0x", at + 2)) {
    std::uint64_t word = 0;
    std::from_chars(text->data() + at + 2, text->data() + text->size(), word, 16);
    words.push_back(word);
  }
  if (words.size() < 2) return registers;
  registers.set(Register::rsp, words[words.size() - 2]);
  registers.set(Register::rip, words[words.size() - 1]);
  return registers;
}

class ProcessTarget : public Target {
 public:
  // `thread`: one that lives, the main one if it does.
  ProcessTarget(std::uint64_t pid, std::uint64_t thread, UniqueFd mem)
      : pid_(pid), folder_(fmt::format("/proc/{}/task/{}", pid, thread)), memory_(thread, std::move(mem)) {
    executable_ = read_link(folder_ + "/exe");
    strip_deleted(executable_);
  }

  TargetKind kind() const override { return TargetKind::process; }
  std::string description() const override { return fmt::format("process {} ({})", pid_, printable(executable_)); }
  std::uint64_t pid() const override { return pid_; }
  std::uint64_t local_pid() const override { return pid_; }
  Memory& memory() override { return kept_; }
  const std::vector<Module>& modules() override { return modules_; }
  std::vector<std::string> damage() const override { return damage_; }
  Result<std::vector<Thread>> threads() override;
  // While the process stands still, so does its clock.
  std::optional<std::int64_t> now() const override { return stopped_at_ ? *stopped_at_ : monotonic_now(); }

  void release(std::span<const MemoryRange> keep) override;

  std::int64_t pause() const { return tracer_ ? nanoseconds(Tracer::Clock::now() - tracer_->began()) : pause_; }
  Result<void> stop();
  Result<void> find_modules();
  void add_damage(std::string line) { damage_.push_back(std::move(line)); }

 private:
  std::vector<std::string> candidates(const FoundModule& found, bool main) const;
  Address program_headers() const;

  std::uint64_t pid_;
  std::string folder_;
  ProcessMemory memory_;
  KeptMemory kept_{memory_};
  std::string executable_;
  std::vector<Module> modules_;
  std::vector<std::string> damage_;
  std::optional<std::int64_t> stopped_at_;
  std::vector<Thread> stopped_threads_;  // once released
  std::int64_t pause_ = 0;               // once released
  std::unique_ptr<Tracer> tracer_;  // last: the process runs on before anything else goes
};

Result<void> ProcessTarget::stop() {
  tracer_ = STACKTIDE_TRY(Tracer::stop(pid_));
  stopped_at_ = monotonic_now();
  constexpr std::size_t kNamed = 8;
  std::size_t problems = 0;
  for (const StoppedThread& thread : tracer_->threads()) {
    if (thread.registers) continue;
    if (++problems <= kNamed) add_damage(fmt::format("thread {}: registers unknown, {}", thread.tid, thread.problem));
  }
  if (problems > kNamed) add_damage(fmt::format("registers of {} more threads are unknown", problems - kNamed));
  return {};
}

void ProcessTarget::release(std::span<const MemoryRange> keep) {
  if (!tracer_) return;
  constexpr std::size_t kLimit = std::size_t{256} << 20;
  for (const auto& range : keep) {
    if (kept_.keep(range.address, range.size, kLimit)) continue;
    kept_.forget();
    return;
  }
  auto here = threads();
  if (!here) return;
  stopped_threads_ = std::move(*here);
  pause_ = pause();
  tracer_.reset();
}

Result<std::vector<Thread>> ProcessTarget::threads() {
  if (!stopped_threads_.empty()) return stopped_threads_;
  std::vector<Thread> result;
  const auto folder = [this](std::uint64_t tid) { return fmt::format("/proc/{}/task/{}", pid_, tid); };
  const auto name = [&](std::uint64_t tid) {
    const auto text = read_text_file(folder(tid) + "/comm", 64);
    return text ? text->substr(0, text->find('\n')) : std::string();
  };
  if (tracer_) {
    for (const StoppedThread& thread : tracer_->threads()) {
      result.push_back({thread.tid, name(thread.tid), thread.registers.value_or(Registers{})});
    }
  } else {
    for (const std::uint64_t tid : list_threads(pid_)) result.push_back({tid, name(tid), registers_at_rest(folder(tid))});
  }
  if (result.empty()) return fail(ErrorCode::no_such_process, fmt::format("process {} has ended", pid_));
  return result;
}

// Where the kernel told the program that its own program headers are: they lie in the main module.
Address ProcessTarget::program_headers() const {
  const auto text = read_text_file(fmt::format("/proc/{}/auxv", pid_), 65536);
  if (!text) return 0;
  const auto bytes = std::as_bytes(std::span(*text));
  for (std::uint64_t at = 0;; at += sizeof(Elf64_auxv_t)) {
    const auto entry = load<Elf64_auxv_t>(bytes, at);
    if (!entry || entry->a_type == AT_NULL) return 0;
    if (entry->a_type == AT_PHDR) return entry->a_un.a_val;
  }
}

std::vector<std::string> ProcessTarget::candidates(const FoundModule& found, bool main) const {
  std::vector<std::string> result;
  if (!found.deleted) result.push_back(folder_ + "/root" + found.module.path);
  if (main) result.push_back(folder_ + "/exe");
  result.push_back(fmt::format("/proc/{}/map_files/{:x}-{:x}", pid_, found.first.start, found.first.end));
  if (found.deleted) result.push_back(folder_ + "/root" + found.module.path);
  return result;
}

Result<void> ProcessTarget::find_modules() {
  const std::string maps = STACKTIDE_TRY(read_text_file(folder_ + "/maps", kMaxMapsText));
  auto found = group_modules(parse_maps(maps), memory_);
  const Address headers = program_headers();
  const auto is_main = [&](const FoundModule& module) {
    return headers != 0 ? headers >= module.module.start && headers < module.module.end : module.module.path == executable_;
  };
  ImageCache images;
  for (FoundModule& module : found) {
    if (module.module.path.starts_with('[')) {
      module.module.problem = "it is part of the kernel";
    } else {
      choose_file(module, candidates(module, is_main(module)), images, "process");
    }
  }
  std::ranges::stable_partition(found, is_main);
  for (FoundModule& module : found) modules_.push_back(std::move(module.module));
  return {};
}

// A thread of the process that lives. The main thread may end before the others; its /proc entries are empty then.
std::optional<std::uint64_t> live_thread(std::uint64_t pid) {
  for (const std::uint64_t tid : list_threads(pid)) {
    const auto status = read_status(fmt::format("/proc/{}/task/{}", pid, tid));
    if (status && status->state != 'Z' && status->state != 'X') return tid;
  }
  return std::nullopt;
}

// What can be said without touching the process.
Result<std::uint64_t> check(std::uint64_t pid) {
  constexpr std::uint64_t kMaxPid = 1U << 22U;
  const auto status = pid == 0 || pid > kMaxPid ? std::nullopt : read_status(fmt::format("/proc/{}", pid));
  if (!status) return fail(ErrorCode::no_such_process, fmt::format("there is no process {}", pid));
  if (status->thread_group != pid) {
    return fail(ErrorCode::no_such_process, fmt::format("{} is a thread of process {}", pid, status->thread_group));
  }
  if (pid == static_cast<std::uint64_t>(::getpid()))
    return fail(ErrorCode::not_supported, "a process cannot look into itself");
  const auto thread = live_thread(pid);
  if (!thread) {
    return fail(ErrorCode::no_such_process,
                fmt::format("process {} ({}) has ended: it is a zombie until its parent {} collects it", pid,
                            printable(status->name), status->parent));
  }
  return *thread;
}

// Refuses what could be read but not understood, before it is stopped.
Result<void> check_executable(std::uint64_t pid, const std::string& folder) {
  const auto start = read_text_file(folder + "/exe", 4096);
  if (!start) {
    // Kernel threads have no program at all. Any other reason shows up at the next step, with better words.
    char first = 0;
    if (::readlink((folder + "/exe").c_str(), &first, 1) < 0 && errno == ENOENT) {
      return fail(ErrorCode::unsupported_target, fmt::format("process {} is a thread of the kernel", pid));
    }
    return {};
  }
  const auto header = parse_elf_header(std::as_bytes(std::span(*start)), fmt::format("the program of process {}", pid));
  if (!header && header.error().code == ErrorCode::unsupported_target) return std::unexpected(header.error());
  return {};
}

}  // namespace

Result<std::unique_ptr<Target>> open_process(std::uint64_t pid, const ProcessOptions& options) {
  const std::uint64_t thread = STACKTIDE_TRY(check(pid));
  const std::string folder = fmt::format("/proc/{}/task/{}", pid, thread);
  if (auto fine = check_executable(pid, folder); !fine) return std::unexpected(fine.error());
  UniqueFd mem(::open((folder + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  if (!mem) {
    if (errno == EACCES || errno == EPERM) return std::unexpected(permission_error(pid));
    return fail(ErrorCode::no_such_process, fmt::format("process {} has ended", pid));
  }
  auto target = std::make_unique<ProcessTarget>(pid, thread, std::move(mem));
  if (options.stop) {
    const auto tracer_of = [&] {
      const auto status = read_status(folder);
      return status ? status->tracer : 0;
    };
    std::uint64_t tracer = tracer_of();
    if (tracer == 0) {
      if (auto stopped = target->stop(); !stopped) {
        tracer = tracer_of();  // another one may have come first
        if (tracer == 0) return std::unexpected(stopped.error());
      }
    }
    if (tracer != 0) {
      const auto other = read_status(fmt::format("/proc/{}", tracer));
      target->add_damage(fmt::format(
          "process {} is held by {} ({}) and was read without stopping it: of its threads only the program counter and "
          "stack pointer are known, and only where they stand still",
          pid, other ? printable(other->name) : "another tracer", tracer));
    }
  } else {
    target->add_damage(
        fmt::format("process {} was read without stopping it: registers of its running threads are unknown", pid));
  }
  if (auto found = target->find_modules(); !found) {
    // Most likely it ended just now.
    if (auto still = check(pid); !still) return std::unexpected(still.error());
    return std::unexpected(found.error());
  }
  return target;
}

std::int64_t pause_of(const Target& target) {
  const auto* process = dynamic_cast<const ProcessTarget*>(&target);
  return process == nullptr ? 0 : process->pause();
}

}  // namespace stacktide
