#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/files.h"
#include "command/advise.h"

namespace stacktide::cli {

Done trace_advise(const std::vector<std::string>& words) {
  Style style;
  winsize size{};
  if (isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) style.width = size.ws_col;
  auto result = run_advise(words, style);
  return {result.exit_code, std::move(result.out), std::move(result.err)};
}

}  // namespace stacktide::cli
