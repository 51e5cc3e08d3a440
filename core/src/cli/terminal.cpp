#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace stacktide::cli {

Style standard_style() {
  Style style;
  if (isatty(STDOUT_FILENO) != 1) return style;
  const char* terminal = std::getenv("TERM");
  const char* refused = std::getenv("NO_COLOR");
  style.colour = terminal != nullptr && std::string_view(terminal) != "dumb" && (refused == nullptr || *refused == '\0');
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) style.width = size.ws_col;
  return style;
}

}  // namespace stacktide::cli
