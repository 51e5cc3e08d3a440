// The command line on real kernel cores: whole, without the executable, with another build, cut short, and on what is no
// core.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/park.h"

using namespace stacktide::test;

namespace {

Output cli(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {cli_program()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run(argv, kTimeout, {});
}

nlohmann::json frames_of(const std::string& json) { return nlohmann::json::parse(json).at("goroutines").at(0).at("frames"); }

}  // namespace

TEST_CASE("a kernel core's goroutines have the numbers that the program measured, and their backtraces reach the entry") {
  Park park(1000);
  const auto core = make_core(park.child);
  const auto list = cli({"list", "--json", "--core", core});
  CAPTURE(list.err);
  CHECK(list.exit_code == 0);
  REQUIRE(measured(park).size() == 1000);
  CHECK(listed(list.out) == measured(park));
  for (int id = 2; id < 34; ++id) {
    const auto bt = cli({"bt", std::to_string(id), "--json", "--core", core});
    REQUIRE(bt.exit_code == 0);
    const auto frames = frames_of(bt.out);
    CHECK(frames.back().at("function") == "stacktide_goroutine_start");
    CHECK(std::ranges::count_if(frames, [](const auto& f) {
            return f.at("function").template get<std::string>().ends_with("park_below");
          }) == id - 1);
  }
}

TEST_CASE("audit names a deadlock, and goroutines that pile up in one place") {
  auto stuck = Child::start({sample_program("deadlock")}, {.env = {}, .folder = "", .core = true});
  CHECK(stuck.wait() == 128 + SIGABRT);
  std::string core;
  for (const auto& entry : std::filesystem::directory_iterator(stuck.folder())) core = entry.path();
  if (!core.empty()) {  // else the kernel writes none here
    const auto audit = cli({"audit", "--core", core});
    CHECK(audit.exit_code == 1);
    CHECK(audit.out ==
          "finding: all 2 goroutines wait, and nothing is left that could wake one: deadlock\n"
          "2 goroutines audited, 8 frames, 1 finding, 0 notes\n");
  }
  Park park(20);
  const auto pid = std::to_string(park.child.pid());
  CHECK(cli({"audit", "--pid", pid}).out.find("leaked?") == std::string::npos);
  const auto long_ago = cli({"audit", "--waiting", "0", "--pid", pid});
  CHECK(long_ago.exit_code == 0);
  CHECK(long_ago.out.starts_with("note: 20 goroutines have waited 0 s or longer in (anonymous namespace)::park_below (" +
                                 place_in_park("release.recv()") + ") [chan receive], the first is 2: have they leaked?\n"));
}

TEST_CASE("history on a core has the growths and shrinks that the program counted") {
  auto grow = Child::start({sample_program("grow"), "1000", "3"},
                           {.env = {"GROW_ABORT=1", "STACKTIDE_SHRINK=off"}, .folder = "", .core = true});
  grow.wait_for_line("the runtime counted 21 grows, 0 links, 21 shrinks");
  grow.wait();
  std::string core;
  for (const auto& entry : std::filesystem::directory_iterator(grow.folder())) {
    if (entry.path().filename().string().starts_with("core")) core = entry.path();
  }
  REQUIRE(!core.empty());
  const auto history = cli({"history", "--core", core});
  CHECK(history.exit_code == 0);
  CHECK(history.out.ends_with("21 grows, 21 shrinks, 0 links, 0 releases; 0 lost\n"));
  // The program counted while it looked at each call; its words stand in its output.
  CHECK(grow.output().find("21 grows, 21 shrinks, largest 262144 bytes") != std::string::npos);
}

TEST_CASE("a core whose executable was deleted still lists its goroutines") {
  TempDir folder;
  const auto copy = folder / "park";
  std::filesystem::copy_file(sample_program("park"), copy);
  Park park(100, copy);
  std::filesystem::remove(copy);
  const auto core = make_core(park.child);
  const auto list = cli({"list", "--json", "--core", core});
  CHECK(list.exit_code == 3);
  CHECK(listed(list.out) == measured(park));
  CHECK(list.err.find(copy) != std::string::npos);
  SUBCASE("and names them again when given the same executable") {
    const auto with_exe = cli({"list", "--json", "--core", core, "--exe", sample_program("park")});
    CHECK(listed(with_exe.out) == measured(park));
    const auto frames = frames_of(cli({"bt", "10", "--json", "--core", core, "--exe", sample_program("park")}).out);
    CHECK(frames.back().at("function") == "stacktide_goroutine_start");
  }
  SUBCASE("and refuses another build") {
    const auto wrong = cli({"list", "--core", core, "--exe", sample_program("grow")});
    CHECK(wrong.exit_code == 2);
    CHECK(wrong.err.find("build") != std::string::npos);
    CHECK(std::ranges::count(wrong.err, '\n') == 1);
  }
}

TEST_CASE("a core that was cut short gives what is left, and says what is missing") {
  Park park(1000);
  const auto core = make_core(park.child);
  const auto size = std::filesystem::file_size(core);
  for (const auto part : {size / 10, size / 2, size - 4096}) {
    CAPTURE(part);
    const auto cut = park.folder / fmt::format("cut{}", part);
    std::filesystem::copy_file(core, cut);
    std::filesystem::resize_file(cut, part);
    const auto list = cli({"list", "--core", cut});
    CAPTURE(list.err);
    CHECK((list.exit_code == 2 || list.exit_code == 3));
    CHECK(list.err.find("cut short") != std::string::npos);
  }
}

TEST_CASE("what is no core is refused in one line") {
  TempDir folder;
  const auto text = folder / "text";
  std::ofstream(text) << "not an ELF file";
  const auto empty = folder / "empty";
  std::ofstream(empty).close();
  const auto refused = [](const std::string& path) {
    const auto output = cli({"list", "--core", path});
    CAPTURE(output.err);
    CHECK(output.exit_code == 2);
    CHECK(output.out.empty());
    CHECK(output.err.starts_with("stacktide: "));
    CHECK(std::ranges::count(output.err, '\n') == 1);
    CHECK(output.err.find(path) != std::string::npos);
  };
  refused(text);
  refused(empty);
  refused(folder / "absent");
  refused(sample_program("park"));
  refused(folder.path());
}
