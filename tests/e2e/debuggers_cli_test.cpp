// `stacktide gdb`, `stacktide lldb` and `stacktide setup`, in the build tree and installed, with real debuggers on a real
// core.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "support/gdb.h"
#include "support/process.h"

using namespace stacktide::test;
namespace fs = std::filesystem;

namespace {

constexpr Timeout kLong{120'000};
const std::string kReceived = "channel<int> len 0 cap 8, 3 receivers waiting (goroutines 2, 3, 4)";

// A core of rt_handles, and stacktide installed to a prefix of its own, made once for all cases.
struct World {
  World() : child(Child::start({program}, {.env = {"STACKTIDE_MAXPROCS=1"}, .folder = {}, .core = true})) {
    child.wait_for_line("ready");
    core = make_core(child);
    const auto done = run({"cmake", "--install", STACKTIDE_BUILD_DIR, "--prefix", prefix}, kLong);
    if (done.exit_code != 0) throw std::runtime_error(done.out + done.err);
  }
  TempDir folder;
  std::string prefix = folder / "opt/stack tide";  // a path that needs quotes
  std::string program = test_program("rt_handles_O0");
  Child child;
  std::string core;
  std::string cli = prefix + "/bin/stacktide";
};

const World& world() {
  static const World instance;
  return instance;
}

std::string last_line(const std::string& text) {
  const auto lines = lines_of(text);
  return lines.empty() ? "" : lines.back();
}

void check_both(const std::string& cli) {
  const World& w = world();
  const auto gdb = run({cli, "gdb", "-nx", "--batch", "-ex", "print handles->received", w.program, w.core}, kLong);
  CAPTURE(gdb.out + gdb.err);
  CHECK(gdb.exit_code == 0);
  CHECK(last_line(gdb.out) == "$1 = " + kReceived);
  const auto lldb = run(
      {cli, "lldb", "--no-lldbinit", "--batch", "-o", "target variable handles->received", "-c", w.core, w.program}, kLong);
  CAPTURE(lldb.out + lldb.err);
  CHECK(lldb.exit_code == 0);
  CHECK(last_line(lldb.out) == "(stacktide::channel<int>) handles->received = " + kReceived);
}

}  // namespace

TEST_CASE("gdb and lldb start with everything loaded, from the build tree") { check_both(cli_program()); }

TEST_CASE("gdb and lldb start with everything loaded, once installed") { check_both(world().cli); }

TEST_CASE("the debugger has its arguments as they were given, and its exit code is ours") {
  const auto args = run({cli_program(), "gdb", "-nx", "--batch", "-ex", "show args", "-ex", "goroutine list", "--args",
                         test_program("rt_handles_O0"), "a b", "*", "--help"},
                        kLong);
  CHECK(args.out == "Argument list to give program being debugged when it is started is \"a\\ b \\* --help\".\n");
  CHECK(args.err == "stacktide: there is no process: start the program, attach to one, or load a core\n");
  CHECK(run({cli_program(), "gdb", "-nx", "--batch", "-ex", "quit 7"}, kLong).exit_code == 7);
  CHECK(run({cli_program(), "lldb", "--no-lldbinit", "--batch", "-o", "goroutine list"}, kLong).exit_code == 1);
}

TEST_CASE("what setup prints loads stacktide in debuggers that are started without us") {
  const World& w = world();
  TempDir home;
  for (const auto& [option, file] : {std::pair("--gdb", ".gdbinit"), std::pair("--lldb", ".lldbinit")}) {
    const auto lines = run({w.cli, "setup", option});
    REQUIRE(lines.exit_code == 0);
    std::ofstream(home / file) << lines.out;
  }
  const StartOptions options{.env = {"HOME=" + home.path()}, .folder = {}};
  const auto gdb = run({"gdb", "--batch", "-ex", "print handles->received", w.program, w.core}, kLong, options);
  CAPTURE(gdb.out + gdb.err);
  CHECK(last_line(gdb.out) == "$1 = " + kReceived);
  const auto lldb =
      run({"lldb-19", "--batch", "-o", "target variable handles->received", "-c", w.core, w.program}, kLong, options);
  CAPTURE(lldb.out + lldb.err);
  CHECK(last_line(lldb.out) == "(stacktide::channel<int>) handles->received = " + kReceived);
}

TEST_CASE("installed under /usr, GDB loads it by itself: the script is where it looks") {
  TempDir root;
  const auto done = run({"cmake", "--install", STACKTIDE_BUILD_DIR, "--prefix", "/usr"}, kLong,
                        {.env = {"DESTDIR=" + root.path()}, .folder = {}});
  REQUIRE(done.exit_code == 0);
  std::ifstream script(root / "etc/gdb/gdbinit.d/stacktide.gdb");
  std::string comment, line;
  std::getline(script, comment);
  std::getline(script, line);
  CHECK(line == "source /usr/share/stacktide/python/stacktide_gdb.py");
  CHECK(fs::exists(root / line.substr(sizeof "source /" - 1)));
  CHECK(run({"gdb", "--configuration"}).out.find("--with-system-gdbinit-dir=/etc/gdb/gdbinit.d") != std::string::npos);
}

TEST_CASE("setup says where its lines go") {
  const World& w = world();
  const auto both = run({w.cli, "setup"});
  const auto lines = lines_of(both.out);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0] == "# stacktide, for ~/.gdbinit");
  CHECK(lines[1] == "source " + w.prefix + "/share/stacktide/python/stacktide_gdb.py");
  CHECK(lines[2] == "# stacktide, for ~/.lldbinit (LLDB 19)");
  CHECK(lines[3].starts_with("plugin load \"" + w.prefix + "/lib"));
  const auto wrong = run({w.cli, "setup", "--emacs"});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.err == "stacktide: setup takes --gdb or --lldb, or nothing\n");
}

TEST_CASE("a debugger or a half of stacktide that is not there is told in one line") {
  const auto no_gdb = run({cli_program(), "gdb"}, kTimeout, {.env = {"PATH=/nonexistent"}, .folder = {}});
  CHECK(no_gdb.exit_code == 2);
  CHECK(no_gdb.err == "stacktide: gdb is not installed: apt-get install gdb, or the like\n");
  TempDir lonely;
  fs::create_directory(lonely / "bin");
  fs::copy_file(cli_program(), lonely / "bin/stacktide");
  const auto folders = [&](const std::string& built, const std::string& installed) {
    return fmt::format("{} or {}", fs::path(lonely / built).string(), fs::path(lonely / installed).string());
  };
  const auto no_script = run({lonely / "bin/stacktide", "gdb"});
  CHECK(no_script.exit_code == 2);
  CHECK(no_script.err == fmt::format("stacktide: no stacktide_gdb.py in {}: build stacktide_python, or install again\n",
                                     folders("python", "share/stacktide/python")));
  const auto no_plugin = run({lonely / "bin/stacktide", "lldb"});
  CHECK(no_plugin.exit_code == 2);
  CHECK(no_plugin.err.starts_with("stacktide: no stacktide_lldb.so in " + (lonely / "lib")));
  CHECK(lines_of(no_plugin.err).size() == 1);
}

TEST_CASE("help of the three has examples") {
  for (const std::string word : {"gdb", "lldb", "setup"}) {
    const auto help = run({cli_program(), word, "--help"});
    CHECK(help.out == run({cli_program(), "help", word}).out);
    CHECK(help.out.starts_with("stacktide " + word + " ["));
    CHECK(help.out.find("\nexamples:\n  stacktide " + word) != std::string::npos);
  }
}
