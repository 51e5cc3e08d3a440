#include "cli/files.h"

namespace stacktide::cli {

Done trace(const std::vector<std::string>& words) {
  if (!words.empty() && words[0] == "check") return trace_check({words.begin() + 1, words.end()});
  return {2, "", "trace: being written"};
}

}  // namespace stacktide::cli
