// audit: a line for each finding and note, and a summary.
#pragma once

#include <string>

#include "analyze/audit.h"
#include "stacktide/core/snapshot.h"

namespace stacktide {

// `shown`: lines at most, findings first.
std::string audit_text(const Audit& audit, std::size_t shown);
std::string audit_json(const Snapshot& snapshot, const Audit& audit);

}  // namespace stacktide
