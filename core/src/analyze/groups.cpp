#include "analyze/groups.h"

#include <fmt/format.h>

#include <algorithm>

namespace stacktide {

std::string id_ranges(const std::vector<Goroutine*>& members) {
  std::vector<std::uint64_t> ids;
  ids.reserve(members.size());
  for (const auto* g : members) ids.push_back(g->id);
  std::ranges::sort(ids);
  std::string text;
  for (std::size_t i = 0; i < ids.size();) {
    std::size_t last = i;
    while (last + 1 < ids.size() && ids[last + 1] - ids[last] <= 1) ++last;
    if (!text.empty()) text += ", ";
    text += last == i ? fmt::format("{}", ids[i]) : fmt::format("{}-{}", ids[i], ids[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace stacktide
