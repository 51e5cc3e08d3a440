// Lines of a test program's source, found by their text, so that tests need not know their numbers.
#pragma once

#include <string>
#include <string_view>

namespace stacktide::test {

struct SourceLine {
  std::string text;   // the whole line
  std::string place;  // "rt_stepping.cpp:29"
  int number = 0;
};

// The first line of tests/programs/FILE that holds `text`. Throws when none does.
SourceLine source_line(std::string_view file, std::string_view text);

}  // namespace stacktide::test
