// The installed package, as a stranger's project uses it: find_package, stacktide_goroutines, build, run; and its refusals.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "support/process.h"

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using stacktide::test::Output;
using stacktide::test::run;
using stacktide::test::TempDir;

namespace {

const std::string kProject = STACKTIDE_SOURCE_DIR "/tests/programs/consumer";

Output run_well(const std::vector<std::string>& command) {
  Output done = run(command, 120s);
  CAPTURE(command);
  CAPTURE(done.out + done.err);
  REQUIRE(done.exit_code == 0);
  return done;
}

class Installed {
 public:
  Installed() { run_well({"cmake", "--install", STACKTIDE_BUILD_DIR, "--prefix", prefix(), "--component", "development"}); }
  std::string prefix() const { return folder_ / "prefix"; }
  std::string build() const { return folder_ / "build"; }
  Output configure(const std::vector<std::string>& more) const {
    std::vector<std::string> command = {"cmake", "-S", kProject, "-B",
                                        build(), "-G", "Ninja",  "-DCMAKE_PREFIX_PATH=" + prefix()};
    command.insert(command.end(), more.begin(), more.end());
    return run(command, 120s);
  }

 private:
  TempDir folder_;
};

// CMake breaks lines of messages; the words are what counts.
std::string words_of(const std::string& text) {
  std::string words;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\n';
    if (!blank) words += c;
    else if (!words.ends_with(' ')) words += ' ';
  }
  return words;
}

void check_refusal(const Output& output, const std::string& message) {
  CHECK(output.exit_code == 1);
  const std::string words = words_of(output.err);
  CAPTURE(words);
  CHECK(words.find(message) != std::string::npos);
}

bool have(const std::string& program) { return run({"sh", "-c", "command -v " + program}).exit_code == 0; }

}  // namespace

TEST_CASE("a project that finds the package builds and runs, with each linker") {
  const Installed installed;
  for (const std::string linker : {"", "bfd", "gold", "lld"}) {
    if (!linker.empty() && !have("ld." + linker)) continue;
    CAPTURE(linker);
    const Output configured =
        installed.configure({"-DCMAKE_EXE_LINKER_FLAGS=" + (linker.empty() ? "" : "-fuse-ld=" + linker)});
    CAPTURE(configured.err);
    REQUIRE(configured.exit_code == 0);
    run_well({"cmake", "--build", installed.build()});
    CHECK(run_well({installed.build() + "/consumer"}).out == "500555\n");
  }
}

TEST_CASE("an executable linked without the launcher says so instead of overrunning its stacks") {
  const Installed installed;
  REQUIRE(installed.configure({}).exit_code == 0);
  run_well({"cmake", "--build", installed.build()});
  const std::string program = installed.build() + "/unsafe";
  run_well({"sh", "-c",
            "g++ -o " + program + " " + installed.build() + "/CMakeFiles/consumer.dir/*.o " + installed.build() +
                "/libsumming.a " + installed.prefix() + "/lib*/libstacktide.a -lbacktrace"});
  const Output ran = run({program});
  CHECK(ran.exit_code != 0);
  CHECK(ran.out == "");
  CAPTURE(ran.err);
  CHECK(ran.err.find("stacktide_goroutines") != std::string::npos);
}

TEST_CASE("distributions' flags come before ours and are no matter; one that comes after is refused when linking") {
  const Installed installed;
  const Output configured = installed.configure(
      {"-DREFUSED=", "-DCMAKE_CXX_FLAGS=-fcf-protection=full -fivopts -fstack-clash-protection -fstack-protector-strong"});
  REQUIRE(configured.exit_code == 0);
  run_well({"cmake", "--build", installed.build()});
  CHECK(run_well({installed.build() + "/consumer"}).out == "500555\n");
  REQUIRE(installed.configure({"-DREFUSED=late"}).exit_code == 0);
  const Output built = run({"cmake", "--build", installed.build()}, 120s);
  CHECK(built.exit_code != 0);
  CAPTURE(built.out);
  CHECK(words_of(built.out).find(
            "main.cpp.o is compiled with -fivopts, after or without -fno-ivopts: it keeps pointers outside "
            "their objects, which a move of the stack does not find") != std::string::npos);
  CHECK_FALSE(fs::exists(installed.build() + "/consumer"));
}

TEST_CASE("what cannot be goroutine code is refused when configuring, with the reason") {
  const Installed installed;
  check_refusal(installed.configure({"-DREFUSED=lto"}),
                "stacktide_goroutines(consumer): the target has INTERPROCEDURAL_OPTIMIZATION: link-time optimisation makes "
                "calls after "
                "stacktide-link has looked for them; set the property to OFF");
  check_refusal(installed.configure({"-DREFUSED=asan"}),
                "stacktide_goroutines(consumer): the target has -fsanitize=address: AddressSanitizer does not follow "
                "goroutine stacks");
  check_refusal(installed.configure({"-DREFUSED=tsan"}),
                "stacktide_goroutines(summing): the target has -fsanitize=undefined,thread: ThreadSanitizer does not follow "
                "goroutines from stack to stack");
  check_refusal(installed.configure({"-DREFUSED=profile"}),
                "stacktide_goroutines(summing): the target has -pg: its hooks are called before the stack check; use perf");
  check_refusal(
      installed.configure({"-DREFUSED=unchecked"}),
      "stacktide_goroutines(consumer): the target has -fno-split-stack: it leaves out the stack checks, without which "
      "goroutine code overruns its stack");
  check_refusal(installed.configure({"-DREFUSED=shared"}),
                "stacktide_goroutines(shared): goroutine code in a shared library is not supported; make it STATIC");
  check_refusal(installed.configure({"-DREFUSED=twice"}), "stacktide_goroutines(consumer): called twice for this target");
  check_refusal(installed.configure({"-DREFUSED=", "-DCMAKE_CXX_FLAGS=-flto=auto"}),
                "stacktide_goroutines(summing): CMAKE_CXX_FLAGS has -flto=auto: link-time optimisation");
}

TEST_CASE("Clang is refused for goroutine code, with the reason") {
  std::string clang;
  for (const char* name : {"clang++-19", "clang++"}) {
    if (clang.empty() && have(name)) clang = name;
  }
  if (clang.empty()) {
    MESSAGE("skipped: no clang++ installed");
    return;
  }
  const Installed installed;
  check_refusal(installed.configure({"-DCMAKE_CXX_COMPILER=" + clang}),
                "goroutine code needs GCC; Clang refuses functions with variable arguments under -fsplit-stack");
}
