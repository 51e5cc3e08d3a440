#include "cli/files.h"
#include "cli/terminal.h"
#include "command/advise.h"

namespace stacktide::cli {

Done trace_advise(const std::vector<std::string>& words) {
  auto result = run_advise(words, standard_style());
  return {result.exit_code, std::move(result.out), std::move(result.err)};
}

}  // namespace stacktide::cli
