#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "stacktide/core/result.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace stacktide;

namespace {
constexpr int kCodes = static_cast<int>(ErrorCode::not_supported) + 1;
}

TEST_CASE("every code has a name of its own and a hint that fits into parentheses") {
  std::set<std::string> names;
  for (int i = 0; i < kCodes; ++i) {
    const auto code = static_cast<ErrorCode>(i);
    CHECK(names.insert(std::string(code_name(code))).second);
    CHECK(code_name(code) != "unknown_error");
    CHECK(code_name(code).find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
    CHECK(hint(code).find('\n') == std::string_view::npos);
    CHECK_FALSE(hint(code).ends_with('.'));
  }
  CHECK(code_name(ErrorCode::memory_fault) == "memory_fault");
  CHECK(code_name(static_cast<ErrorCode>(200)) == "unknown_error");
}

TEST_CASE("an error is described in one line: context, address, hint") {
  CHECK(describe({ErrorCode::memory_fault, 0x1000, "a read of 8 bytes fails"}) ==
        "a read of 8 bytes fails at 0x1000 (not mapped, or left out of the core)");
  CHECK(describe({ErrorCode::io_error, 0, "park.core: No such file or directory"}) ==
        "park.core: No such file or directory");
  CHECK(describe({ErrorCode::usage, 0, ""}) == "usage (see help)");
}

TEST_CASE("TRY yields the value or returns the error") {
  const auto doubled = [](Result<int> value) -> Result<int> { return STACKTIDE_TRY(value) * 2; };
  CHECK(*doubled(21) == 42);
  const auto failed = doubled(fail(ErrorCode::damaged_data, "broken", 7));
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::damaged_data);
  CHECK(failed.error().address == 7);
  CHECK(failed.error().context == "broken");
}
