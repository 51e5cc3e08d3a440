// tests/bench/compare.sh at its quickest: that every side runs, and that what it prints and writes is whole. The figures are
// not looked at.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "support/process.h"

using namespace stacktide::test;
using nlohmann::json;

namespace {

Output compare(std::vector<std::string> arguments, std::vector<std::string> environment = {}) {
  arguments.insert(arguments.begin(), {STACKTIDE_SOURCE_DIR "/tests/bench/compare.sh", "--no-build", "--quick"});
  environment.emplace_back("BUILD=" STACKTIDE_BUILD_DIR);
  // The first run builds Go's side.
  return run(arguments, 8 * kTimeout, {.env = environment, .folder = {}});
}

json read_json(const std::string& path) {
  std::ifstream file(path);
  return json::parse(file);
}

}  // namespace

TEST_CASE("a run prints a line for each row and number of processors, and writes the same as JSON") {
  const TempDir folder;
  const auto output = compare({"--only", "^(yield|spawn_exit|call_library)$", "--json", folder / "rows.json"});
  REQUIRE_MESSAGE(output.exit_code == 0, output.err);
  const json document = read_json(folder / "rows.json");
  const bool go = document["go"];
  if (!go) MESSAGE("there is no go: its side is left out");
  const bool fibers = std::filesystem::exists(STACKTIDE_BUILD_DIR "/bench/bench_compare_fibers");
  std::set<std::pair<std::string, int>> rows;
  for (const json& row : document["rows"]) {
    const std::string name = row["name"];
    const int procs = row["procs"];
    CAPTURE(name);
    CAPTURE(procs);
    rows.insert({name, procs});
    CHECK(row["stacktide_ns"].get<double>() > 0);
    CHECK(row["go_ns"].is_null() == (!go || name == "call_library"));
    CHECK(row["threads_ns"].is_null() == (procs == 2 || name == "call_library"));
    CHECK(row["boost_ns"].is_null() == (!fibers || procs == 2 || name == "call_library"));
    CHECK(row["plain_ns"].is_null() == (name != "call_library"));
    if (row["go_ns"].is_null()) {
      CHECK(row["ratio"].is_null());
    } else {
      CHECK(row["ratio"].get<double>() == doctest::Approx(row["go_ns"].get<double>() / row["stacktide_ns"].get<double>()));
    }
    CHECK(output.out.find(fmt::format("\n{:<20} {:>5} ", name, procs)) != std::string::npos);
  }
  CHECK(rows == std::set<std::pair<std::string, int>>{
                    {"yield", 1}, {"yield", 2}, {"spawn_exit", 1}, {"spawn_exit", 2}, {"call_library", 1}});
}

TEST_CASE("without go it says so, and measures the others") {
  const TempDir folder;
  const auto output = compare({"--only", "^yield$", "--procs", "1", "--json", folder / "rows.json"}, {"GO=/no/such/go"});
  REQUIRE_MESSAGE(output.exit_code == 0, output.err);
  CHECK(output.err.find("compare.sh: no '/no/such/go' here: without Go's side") != std::string::npos);
  const json document = read_json(folder / "rows.json");
  REQUIRE(document["rows"].size() == 1);
  CHECK(document["go"] == false);
  CHECK(document["rows"][0]["go_ns"].is_null());
  CHECK(document["rows"][0]["ratio"].is_null());
  CHECK(document["rows"][0]["stacktide_ns"].get<double>() > 0);
}

TEST_CASE("a row that is not there is an error, and so is a bad number") {
  const auto none = compare({"--only", "^no such row$"});
  CHECK(none.exit_code == 1);
  CHECK(none.err == "compare.sh: no row matches '^no such row$'; --list names them\n");
  CHECK(compare({"--rounds", "0"}).exit_code == 2);
}
