// The recipes of samples/ci, run: its project is built against an installed stacktide, and the workflow's own steps record
// and check it, before and after a change that makes stacks larger. The steps that GitHub itself runs (uses:) and the one
// that builds stacktide are left out: the installed tree stands for the latter.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "support/process.h"

namespace fs = std::filesystem;
using namespace stacktide::test;

namespace {

constexpr Timeout kLong{180'000};

std::string read_file(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// The sample's folder as a repository of its own, and stacktide installed beside it.
class Project {
 public:
  Project() {
    fs::copy(STACKTIDE_SOURCE_DIR "/samples/ci", folder(), fs::copy_options::recursive);
    const auto done =
        run({"cmake", "--install", STACKTIDE_BUILD_DIR, "--prefix", prefix(), "--component", "development"}, kLong);
    REQUIRE_MESSAGE(done.exit_code == 0, done.err);
  }
  std::string folder() const { return place_ / "project"; }
  std::string prefix() const { return place_ / "prefix"; }

  // As the runner does: bash -e in the checked-out folder.
  Output step(const std::string& name, const std::string& more = "") {
    const auto steps = run({"/usr/bin/python3", STACKTIDE_SOURCE_DIR "/tests/e2e/ci_steps.py",
                            folder() + "/.github/workflows/stacks.yml", name});
    REQUIRE_MESSAGE(steps.exit_code == 0, steps.err);
    std::string script = steps.out;
    while (script.ends_with('\n')) script.pop_back();
    replace(script, "/opt/stacktide", prefix());
    return run({"bash", "-e", "-c", script + more}, kLong,
               {.env = {"GITHUB_ACTIONS=true", fmt::format("PATH={}/bin:{}", prefix(), std::getenv("PATH"))},
                .folder = folder(),
                .core = false});
  }
  void step_well(const std::string& name) {
    const auto done = step(name);
    REQUIRE_MESSAGE(done.exit_code == 0, (name + ": " + done.out + done.err));
  }

 private:
  TempDir place_;
};

}  // namespace

TEST_CASE(
    "the GitHub workflow's steps pass, and fail with an annotation at the function when stacks grow more than before") {
  Project project;
  for (const auto* name : {"Build", "Record", "Check", "This one is good"}) project.step_well(name);
  CHECK(fs::exists(project.folder() + "/baseline.stt"));
  CHECK(read_file(project.folder() + "/build/stacks.xml").find("failures=\"0\"") != std::string::npos);

  // A change: requests are nested more deeply.
  REQUIRE(project.step("Record", " 200").exit_code == 0);
  const auto checked = project.step("Check");
  CAPTURE(checked.out + checked.err);
  CHECK(checked.exit_code == 1);
  CHECK(checked.out.find("FAIL  requests stay small: largest_stack 32 KiB (32768 bytes), limit 16 KiB (16384 bytes)\n") !=
        std::string::npos);
  CHECK(checked.out.find("FAIL  no more growth than before: growths_per_goroutine 4, limit 0") != std::string::npos);
  CHECK(checked.out.find("::error file=server.cpp,line=12,title=") != std::string::npos);
  CHECK(read_file(project.folder() + "/build/stacks.sarif").find("\"uri\": \"server.cpp\"") != std::string::npos);
}

TEST_CASE("the project's ctest records and checks, and fails when the recording breaks a rule") {
  Project project;
  project.step_well("Build");
  const auto ctest = [&] {
    return run({"ctest", "--test-dir", project.folder() + "/build", "--output-on-failure"}, kLong,
               {.env = {"GITHUB_ACTIONS=false"}, .folder = project.folder(), .core = false});
  };
  const auto good = ctest();
  CAPTURE(good.out + good.err);
  CHECK(good.exit_code == 0);
  CHECK(good.out.find("100% tests passed, 0 tests failed out of 2") != std::string::npos);
  CHECK(fs::exists(project.folder() + "/build/stacks.xml"));

  auto rules = read_file(project.folder() + "/stacktide.toml");
  replace(rules, "16KiB", "1KiB");
  std::ofstream(project.folder() + "/stacktide.toml") << rules;
  const auto bad = ctest();
  CHECK(bad.exit_code != 0);
  CHECK(bad.out.find("FAIL  requests stay small: largest_stack 2 KiB (2048 bytes), limit 1 KiB (1024 bytes)") !=
        std::string::npos);
  CHECK(bad.out.find("1 tests failed out of 2") != std::string::npos);
}
