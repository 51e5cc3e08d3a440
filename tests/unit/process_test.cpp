// Live processes as targets: attaching, memory, threads, modules, and what is said when one of these is refused. More than
// 400 lines, because every case needs the same few real processes and the helpers that set them up.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "elf/image.h"
#include "stacktide/core/target.h"
#include "support/elf_builder.h"
#include "support/process.h"
#include "target/proc_fs.h"

using namespace stacktide;
using namespace stacktide::test;

namespace {

struct Sleeper {
  Child child;
  std::string said;
  Address value = 0;
  Address constant = 0;
};

Address address_after(const std::string& output, const std::string& word) {
  const auto at = output.find(word + " 0x");
  REQUIRE(at != std::string::npos);
  return std::stoull(output.substr(at + word.size() + 1), nullptr, 16);
}

Sleeper start_sleeper(const std::string& threads = "0", const std::string& program = test_program("sleeper")) {
  Child child = Child::start({program, threads});
  std::string said = child.wait_for_line("ready");
  const Address value = address_after(said, "value");
  const Address constant = address_after(said, "constant");
  return {std::move(child), std::move(said), value, constant};
}

std::unique_ptr<Target> open_good(std::uint64_t pid, const ProcessOptions& options = {}) {
  auto target = open_process(pid, options);
  if (!target) FAIL(describe(target.error()));
  return *std::move(target);
}

std::unique_ptr<Target> open_good(const Sleeper& sleeper, const ProcessOptions& options = {}) {
  return open_good(static_cast<std::uint64_t>(sleeper.child.pid()), options);
}

// It runs on, answers and is nobody's tracee.
void check_alive(Sleeper& sleeper, const std::string& word) {
  CHECK(status_field(sleeper.child.pid(), "TracerPid") == "0");
  sleeper.child.send_line(word);
  sleeper.child.wait_for_line("alive " + word);
}

// A bounded wait for what no message announces: job control and exits take their time.
template <class Condition>
bool wait_until(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + kTimeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

bool reaches_state(pid_t pid, char state) {
  return wait_until([&] { return status_field(pid, "State").starts_with(state); });
}

}  // namespace

TEST_CASE("a process is stopped while open and runs on, untraced, afterwards") {
  Sleeper sleeper = start_sleeper("3");
  const auto pid = static_cast<std::uint64_t>(sleeper.child.pid());
  {
    auto target = open_good(sleeper);
    CHECK(target->kind() == TargetKind::process);
    CHECK(target->pid() == pid);
    CHECK(target->description() == "process " + std::to_string(pid) + " (" + test_program("sleeper") + ")");
    CHECK(target->damage().empty());
    CHECK(status_field(sleeper.child.pid(), "TracerPid") != "0");
    for (const std::uint64_t tid : list_threads(pid))
      CHECK(status_field(static_cast<pid_t>(tid), "State") == "t (tracing stop)");
    CHECK(pause_of(*target) > 0);
    CHECK(target->now() == target->now());  // its clock stands still too
  }
  check_alive(sleeper, "one");
  for (int i = 0; i < 20; ++i) open_good(sleeper);
  check_alive(sleeper, "two");
  sleeper.child.close_stdin();
  CHECK(sleeper.child.wait() == 0);
}

TEST_CASE("threads come with names and registers, the main thread first, and their memory agrees with the program") {
  Sleeper sleeper = start_sleeper("3");
  auto target = open_good(sleeper);
  const auto threads = target->threads();
  REQUIRE(threads);
  REQUIRE(threads->size() == 4);
  CHECK(threads->front().tid == target->pid());
  CHECK(threads->front().name == "sleeper");
  for (std::size_t i = 0; i < threads->size(); ++i) {
    const Thread& thread = (*threads)[i];
    CAPTURE(thread.name);
    CHECK(thread.registers.valid == (1U << kRegisterCount) - 1);
    // The program printed where its marker lies on the stack of this thread.
    const std::string line = "thread " + std::to_string(thread.tid) + " marker";
    const Address marker = address_after(sleeper.said, line);
    CHECK(*thread.registers.get(Register::rsp) < marker);
    const std::uint64_t index = i == 0 ? 0 : std::stoull(thread.name.substr(thread.name.find('-') + 1));
    CHECK(*target->memory().read_value<std::uint64_t>(marker) == 0x1122334400000000U + index);
  }
}

TEST_CASE("memory is read across pages and ends at the first absent byte") {
  Sleeper sleeper = start_sleeper();
  auto target = open_good(sleeper);
  CHECK(*target->memory().read_value<std::uint64_t>(sleeper.value) == 0x5354414b54494445);
  CHECK(*target->memory().read_string(sleeper.constant, 100) == "a constant in read-only data");
  const Module& module = target->modules().front();
  std::vector<std::byte> start(0x1000 + 64);
  CHECK(target->memory().read(module.start, start).has_value());
  const Bytes file = read_file(test_program("sleeper"));
  CHECK(std::equal(start.begin(), start.begin() + 0x1000, file.begin()));
  CHECK(target->memory().read_value<int>(16).error().address == 16);
  CHECK_FALSE(target->memory().read_value<int>(~Address{0} - 3).has_value());
  CHECK_FALSE(target->memory().read_value<int>(0x8000000000000000).has_value());
  // From the last mapped page on: all of it up to the end, and the end is named.
  std::string maps_end;
  Address end = 0;
  for (const Mapping& mapping : parse_maps([&] {
         const Bytes text = read_file("/proc/" + std::to_string(target->pid()) + "/maps");
         return std::string(reinterpret_cast<const char*>(text.data()), text.size());
       }())) {
    if (mapping.path == "[vdso]") end = mapping.end;
  }
  REQUIRE(end != 0);
  std::array<std::byte, 8192> out;
  const auto past = target->memory().read(end - 4096, out);
  if (!past) CHECK(past.error().address == end);
}

TEST_CASE("modules have files that can be opened, the main one first") {
  Sleeper sleeper = start_sleeper();
  auto target = open_good(sleeper);
  const auto& modules = target->modules();
  REQUIRE(modules.size() >= 3);
  CHECK(modules.front().path == test_program("sleeper"));
  CHECK(modules.front().build_id == (*Image::open(test_program("sleeper")))->build_id());
  for (const Module& module : modules) {
    CAPTURE(module.path);
    CHECK(module.start < module.end);
    if (module.path == "[vdso]") {
      CHECK(module.file == "");
      CHECK(module.problem == "it is part of the kernel");
      continue;
    }
    CHECK(module.problem == "");
    const auto image = Image::open(module.file);
    REQUIRE(image);
    CHECK((*image)->build_id() == module.build_id);
  }
}

TEST_CASE("a deleted executable is still opened, and one replaced by another build is not mistaken for it") {
  TempDir folder;
  const std::string program = folder / "program";
  std::filesystem::copy_file(test_program("sleeper"), program);
  Sleeper sleeper = start_sleeper("0", program);
  std::filesystem::remove(program);
  for (const bool replaced : {false, true}) {
    if (replaced) std::filesystem::copy_file(test_program("attacher"), program);
    auto target = open_good(sleeper);
    const Module& module = target->modules().front();
    CHECK(module.path == program);
    CHECK(module.problem == "");
    const auto image = Image::open(module.file);
    REQUIRE(image);
    CHECK((*image)->build_id() == (*Image::open(test_program("sleeper")))->build_id());
    CHECK(target->description() == "process " + std::to_string(sleeper.child.pid()) + " (" + program + ")");
  }
}

TEST_CASE("a killed tracer leaves the process running and untraced") {
  Sleeper sleeper = start_sleeper("2");
  Child attacher = Child::start({test_program("attacher"), std::to_string(sleeper.child.pid())});
  attacher.wait_for_line("attached");
  CHECK(status_field(sleeper.child.pid(), "TracerPid") != "0");
  attacher.signal(SIGKILL);
  CHECK(attacher.wait() == 128 + SIGKILL);
  check_alive(sleeper, "still");
}

TEST_CASE("a process that another tracer holds is read without stopping it") {
  Sleeper sleeper = start_sleeper("1");
  Child gdb = Child::start({"gdb", "-nx", "-q", "-p", std::to_string(sleeper.child.pid()), "-ex", "echo held\\n"});
  gdb.wait_for_line("held");
  {
    auto target = open_good(sleeper);
    REQUIRE(target->damage().size() == 1);
    CHECK(target->damage()[0] ==
          "process " + std::to_string(sleeper.child.pid()) + " is held by gdb (" + std::to_string(gdb.pid()) +
              ") and was read without stopping it: of its threads only the program counter and stack pointer are "
              "known, and only where they stand still");
    CHECK(*target->memory().read_value<std::uint64_t>(sleeper.value) == 0x5354414b54494445);
    CHECK(target->modules().front().problem == "");
    CHECK(pause_of(*target) == 0);
    const auto threads = target->threads();
    REQUIRE(threads);
    REQUIRE(threads->size() == 2);
    for (const Thread& thread : *threads) {
      CHECK(thread.registers.get(Register::rip).has_value());
      CHECK(thread.registers.get(Register::rsp).has_value());
      CHECK_FALSE(thread.registers.get(Register::rbp).has_value());
    }
    CHECK(status_field(sleeper.child.pid(), "TracerPid") == std::to_string(gdb.pid()));
  }
  gdb.send_line("detach");
  gdb.send_line("quit");
  gdb.wait();
  check_alive(sleeper, "after");
}

TEST_CASE("a process can be read without stopping it") {
  Sleeper sleeper = start_sleeper("1");
  auto target = open_good(sleeper, {.stop = false});
  CHECK(status_field(sleeper.child.pid(), "TracerPid") == "0");
  CHECK(*target->memory().read_value<std::uint64_t>(sleeper.value) == 0x5354414b54494445);
  CHECK(target->threads()->size() == 2);
  CHECK(target->threads()->front().registers.valid == 0);
  CHECK(target->damage().size() == 1);
  CHECK(pause_of(*target) == 0);
  CHECK(*target->now() > 0);
  check_alive(sleeper, "meanwhile");
}

TEST_CASE("a process stopped by job control stays stopped") {
  Sleeper sleeper = start_sleeper("1");
  sleeper.child.signal(SIGSTOP);
  CHECK(reaches_state(sleeper.child.pid(), 'T'));
  {
    auto target = open_good(sleeper);
    CHECK(target->threads()->front().registers.valid == (1U << kRegisterCount) - 1);
    CHECK(target->damage().empty());
  }
  CHECK(reaches_state(sleeper.child.pid(), 'T'));
  sleeper.child.signal(SIGCONT);
  check_alive(sleeper, "again");
}

TEST_CASE("a signal that arrives while the process is held is not lost") {
  // The shell answers each signal by a line of its own.
  Child shell =
      Child::start({"bash", "-c", "trap 'echo got signal' USR1; echo ready; while read -r line; do echo $line; done"});
  shell.wait_for_line("ready");
  for (int i = 0; i < 10; ++i) {
    {
      shell.signal(SIGUSR1);  // perhaps caught on its way
      auto target = open_process(static_cast<std::uint64_t>(shell.pid()));
      if (!target) FAIL(describe(target.error()));
    }
    shell.send_line("go");
    shell.wait_for_line("got signal");
    // bash forgets a signal that arrives while it runs the trap of the one before; its answer to a line says that it is out
    // of it.
    const auto mark = "done " + std::to_string(i);
    shell.send_line(mark);
    shell.wait_for_line(mark);
  }
  {
    auto target = open_process(static_cast<std::uint64_t>(shell.pid()));
    REQUIRE(target);
    shell.signal(SIGUSR1);
  }
  shell.send_line("go");
  shell.wait_for_line("got signal");
}

TEST_CASE("a process that is killed while held reads as absent, not as an old copy") {
  Sleeper sleeper = start_sleeper("1");
  auto target = open_good(sleeper);
  sleeper.child.signal(SIGKILL);
  REQUIRE(reaches_state(sleeper.child.pid(), 'Z'));
  // The memory goes with the last thread, which may end a moment after the main one.
  const auto end = std::chrono::steady_clock::now() + kTimeout;
  auto value = target->memory().read_value<std::uint64_t>(sleeper.value);
  while (value && std::chrono::steady_clock::now() < end) value = target->memory().read_value<std::uint64_t>(sleeper.value);
  REQUIRE(!value);
  CHECK(value.error().code == ErrorCode::memory_fault);
  target.reset();
  CHECK(sleeper.child.wait() == 128 + SIGKILL);  // the tracer left the exit status to the parent
}

TEST_CASE("threads that come and go meanwhile are no obstacle") {
  const std::string body =
      "import threading\nprint('ready', flush=True)\nwhile True:\n  t=[threading.Thread(target=lambda:None) for _ in "
      "range(8)]\n"
      "  for x in t: x.start()\n  for x in t: x.join()\n";
  Child child = Child::start({"/usr/bin/python3", "-c", body});
  child.wait_for_line("ready");
  for (int i = 0; i < 50; ++i) {
    auto target = open_process(static_cast<std::uint64_t>(child.pid()));
    if (!target) FAIL(describe(target.error()));
    const auto threads = (*target)->threads();
    REQUIRE(threads);
    CHECK(threads->front().tid == static_cast<std::uint64_t>(child.pid()));
    for (const Thread& thread : *threads) CHECK(status_field(static_cast<pid_t>(thread.tid), "State").starts_with('t'));
    // Not one thread escaped; those that were about to end may still be listed.
    for (const std::uint64_t tid : list_threads((*target)->pid())) {
      const std::string state = status_field(static_cast<pid_t>(tid), "State");
      CHECK((state.empty() || std::string_view("tZX").find(state.front()) != std::string_view::npos));
    }
  }
  CHECK(status_field(child.pid(), "TracerPid") == "0");
}

TEST_CASE("what cannot be opened is refused with the reason") {
  const auto error_of = [](std::uint64_t pid) {
    auto target = open_process(pid);
    REQUIRE_FALSE(target);
    return target.error();
  };
  CHECK(describe(error_of(0)) == "there is no process 0 (check the pid)");
  CHECK(error_of(~std::uint64_t{0}).code == ErrorCode::no_such_process);
  CHECK(error_of(static_cast<std::uint64_t>(::getpid())).code == ErrorCode::not_supported);
  Sleeper sleeper = start_sleeper("1");
  const auto pid = static_cast<std::uint64_t>(sleeper.child.pid());
  const auto tid = list_threads(pid).back();
  CHECK(error_of(tid).context == std::to_string(tid) + " is a thread of process " + std::to_string(pid));
  sleeper.child.signal(SIGKILL);
  // The main thread may be seen as a zombie a moment before the other one has gone.
  REQUIRE(wait_until([&] { return list_threads(pid).size() == 1; }));
  REQUIRE(reaches_state(sleeper.child.pid(), 'Z'));  // not yet collected
  const Error zombie = error_of(pid);
  CHECK(zombie.code == ErrorCode::no_such_process);
  CHECK(zombie.context == "process " + std::to_string(pid) + " (sleeper) has ended: it is a zombie until its parent " +
                              std::to_string(::getpid()) + " collects it");
  sleeper.child.wait();
  CHECK(describe(error_of(pid)) == "there is no process " + std::to_string(pid) + " (check the pid)");
}

TEST_CASE("a process whose main thread has ended is still opened") {
  TempDir folder;
  const std::string source = folder / "source.c";
  write_file(
      source,
      bytes_of("#include <pthread.h>\n#include <stdio.h>\n#include <unistd.h>\n"
               "static void* wait_here(void* p) { puts(\"ready\"); fflush(stdout); char c; read(0, &c, 1); return p; }\n"
               "int main(void) { pthread_t t; pthread_create(&t, 0, wait_here, 0); pthread_exit(0); }\n"));
  REQUIRE(run({"cc", "-pthread", "-o", folder / "headless", source}).exit_code == 0);
  Child child = Child::start({folder / "headless"});
  child.wait_for_line("ready");
  REQUIRE(reaches_state(child.pid(), 'Z'));
  auto target = open_process(static_cast<std::uint64_t>(child.pid()));
  if (!target) FAIL(describe(target.error()));
  CHECK((*target)->threads()->size() == 1);
  CHECK((*target)->modules().front().path == folder / "headless");
  CHECK((*target)->modules().front().problem == "");
}

TEST_CASE("a refusal names its cause and the way out") {
  CHECK(explain_refusal({.pid = 7, .own_user = 1000, .target_user = 0, .can_ptrace = false, .ptrace_scope = 1}) ==
        "process 7 belongs to user 0 and this is user 1000: run as that user or as root");
  CHECK(explain_refusal({.pid = 7, .own_user = 1000, .target_user = 1000, .can_ptrace = false, .ptrace_scope = 1}) ==
        "process 7 cannot be looked into: kernel.yama.ptrace_scope is 1, which allows own children only; run as root, grant "
        "CAP_SYS_PTRACE, or "
        "set it to 0 by `sysctl kernel.yama.ptrace_scope=0`");
  CHECK(explain_refusal({.pid = 7, .own_user = 1000, .target_user = 1000, .can_ptrace = false, .ptrace_scope = 2})
            .find("is 2;") != std::string::npos);
  CHECK(explain_refusal({.pid = 7, .own_user = 0, .target_user = 0, .can_ptrace = true, .ptrace_scope = 3}).find("is 3,") !=
        std::string::npos);
  CHECK(explain_refusal({.pid = 7, .own_user = 0, .target_user = 0, .can_ptrace = false, .ptrace_scope = 0}) ==
        "process 7 cannot be looked into: root lacks CAP_SYS_PTRACE here; grant it (in a container: --cap-add=SYS_PTRACE)");
  CHECK(explain_refusal({.pid = 7, .own_user = 1000, .target_user = 1000, .can_ptrace = false, .ptrace_scope = 0}) ==
        "process 7 is not dumpable (set-uid, with capabilities, or by its own request): run as root");
}

TEST_CASE("another user's process is refused for real") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can become another user");
    return;
  }
  Sleeper sleeper = start_sleeper();
  TempDir folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  const std::string attacher = folder / "attacher";
  std::filesystem::copy_file(test_program("attacher"), attacher);
  const Output refused = run({"setpriv", "--reuid=65534", "--clear-groups", attacher, std::to_string(sleeper.child.pid())});
  CHECK(refused.exit_code == 1);
  CHECK(refused.out == "permission_denied: process " + std::to_string(sleeper.child.pid()) +
                           " belongs to user 0 and this is user 65534: run as that user or as root\n");
  const Output powerless = run({"setpriv", "--bounding-set=-sys_ptrace", attacher, std::to_string(sleeper.child.pid())});
  CHECK(powerless.exit_code == 1);
  CHECK(powerless.out ==
        "permission_denied: process " + std::to_string(sleeper.child.pid()) +
            " cannot be looked into: root lacks CAP_SYS_PTRACE here; grant it (in a container: --cap-add=SYS_PTRACE)\n");
  check_alive(sleeper, "untouched");
}

TEST_CASE("lines of /proc/PID/maps are parsed, odd ones left out") {
  const auto maps = parse_maps(
      "55d0c0000000-55d0c0001000 r--p 00000000 fe:00 123                        /usr/bin/a program\n"
      "55d0c0001000-55d0c0002000 r-xp 00001000 fe:00 123                        /tmp/with\\012feed (deleted)\n"
      "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n"
      "7ffc000fe000-7ffc00100000 r-xp 00000000 00:00 0                          [vdso]\n"
      "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
      "nonsense\n"
      "-\n"
      "12-zz r-xp 0 0 0 /x");
  REQUIRE(maps.size() == 3);
  CHECK(maps[0].path == "/usr/bin/a program");
  CHECK(maps[0].start == 0x55d0c0000000);
  CHECK(maps[0].end == 0x55d0c0001000);
  CHECK_FALSE(maps[0].executable);
  CHECK(maps[1].path == "/tmp/with\nfeed");
  CHECK(maps[1].deleted);
  CHECK(maps[1].offset == 0x1000);
  CHECK(maps[1].executable);
  CHECK(maps[2].path == "[vdso]");
}
