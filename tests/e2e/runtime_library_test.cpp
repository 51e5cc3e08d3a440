// 100,000 goroutines that use the library and park: the tool sees what the program claims, that no stack ever grew.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "support/process.h"

using namespace stacktide::test;

TEST_CASE("100,000 goroutines that build strings and vectors and print keep stacks of 2 KiB") {
  constexpr int kGoroutines = 100'000;
  for (const char* program : {"rt_library_O0", "rt_library_O2"}) {
    CAPTURE(program);
    Child child = Child::start({test_program(program), std::to_string(kGoroutines), "hold"});
    child.wait_for_line("ready", Timeout{120'000});
    const Output list =
        run({cli_program(), "list", "--pid", std::to_string(child.pid()), "--json", "--with", "function=worker"},
            Timeout{120'000});
    INFO(list.err);
    REQUIRE(list.exit_code == 0);
    const auto json = nlohmann::json::parse(list.out);
    int workers = 0;
    int other_sizes = 0;
    int moved = 0;
    for (const auto& goroutine : json.at("goroutines")) {
      ++workers;
      other_sizes += goroutine.at("stack").at("size") != 2048;
      moved += goroutine.at("grows") != 0 || goroutine.at("links") != 0;
    }
    CHECK(workers == kGoroutines);
    CHECK(other_sizes == 0);
    CHECK(moved == 0);
    CHECK(json.at("counts").at("skipped") == 0);
    child.close_stdin();
    CHECK(child.wait(Timeout{120'000}) == 0);
  }
}
