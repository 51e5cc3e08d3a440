#include "cli/files.h"

namespace stacktide::cli {

Done diff(const std::vector<std::string>&) { return {2, "", "diff: being written"}; }

}  // namespace stacktide::cli
