#include "cli/files.h"

namespace stacktide::cli {

Done record(const std::vector<std::string>&) { return {2, "", "record: being written"}; }

}  // namespace stacktide::cli
