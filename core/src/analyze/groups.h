// Equal things shown once: goroutines that stand in the same place.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "stacktide/core/snapshot.h"

namespace stacktide {

// Goroutines with equal keys, in the order of first appearance.
struct GoroutineGroup {
  std::vector<Goroutine*> members;  // at least one; the first stands for all
};

template <class Key, class KeyOf>
std::vector<GoroutineGroup> group_by(const std::vector<Goroutine*>& rows, KeyOf key_of) {
  std::vector<GoroutineGroup> groups;
  std::map<Key, std::size_t> index;
  for (auto* g : rows) {
    const auto [found, fresh] = index.try_emplace(key_of(*g), groups.size());
    if (fresh) groups.emplace_back();
    groups[found->second].members.push_back(g);
  }
  return groups;
}

// "2-1001, 1007": ids in order, runs joined.
std::string id_ranges(const std::vector<Goroutine*>& members);

}  // namespace stacktide
