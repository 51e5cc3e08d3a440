#include "command/diff.h"

#include "cli/files.h"
#include "cli/terminal.h"

namespace stacktide::cli {

Done diff(const std::vector<std::string>& words) {
  auto result = run_diff(words, standard_style());
  return {result.exit_code, std::move(result.out), std::move(result.err)};
}

}  // namespace stacktide::cli
