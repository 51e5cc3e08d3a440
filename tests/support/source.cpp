#include "support/source.h"

#include <fmt/format.h>

#include <fstream>
#include <stdexcept>

namespace stacktide::test {

SourceLine source_line(std::string_view file, std::string_view text) {
  std::ifstream source(fmt::format("{}/tests/programs/{}", STACKTIDE_SOURCE_DIR, file));
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    if (line.find(text) != std::string::npos) return {line, fmt::format("{}:{}", file, number), number};
  }
  throw std::runtime_error(fmt::format("no '{}' in {}", text, file));
}

}  // namespace stacktide::test
