#include "cli/files.h"

namespace stacktide::cli {

Done trace_advise(const std::vector<std::string>&) { return {2, "", "trace_advise: being written"}; }

}  // namespace stacktide::cli
