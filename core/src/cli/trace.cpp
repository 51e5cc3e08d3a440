#include "cli/files.h"

namespace stacktide::cli {

Done trace(const std::vector<std::string>&) { return {2, "", "trace: being written"}; }

}  // namespace stacktide::cli
