#include "trace/filter.h"

#include <algorithm>

namespace stacktide {

bool EventFilter::matches(const StackEvent& event, const std::string& function_name) {
  if (goroutine && event.goroutine != *goroutine) return false;
  // No size is above 0 that an event could lack.
  if (size_above != 0 && std::max(event.old_size, event.new_size) <= size_above) return false;
  if (event.kind == "grow" && !grow) return false;
  if (event.kind == "shrink" && !shrink) return false;
  if ((event.kind == "link" || event.kind == "release") && !segment) return false;
  if (!function) return true;
  if (function_name.empty()) return false;
  if (const auto known = verdicts_.find(function_name); known != verdicts_.end()) return known->second;
  const bool verdict = function->matches(function_name);
  if (verdicts_.size() < kVerdicts) verdicts_.emplace(function_name, verdict);
  return verdict;
}

}  // namespace stacktide
