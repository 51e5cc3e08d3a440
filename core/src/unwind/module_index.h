// Which module an address belongs to, by binary search.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "stacktide/core/target.h"

namespace stacktide {

class ModuleIndex {
 public:
  // Position in `modules`, which must outlive the index and must not have changed since rebuild().
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  // Hosts load libraries between two stops; their list then has another length or other addresses.
  bool stale(const std::vector<Module>& modules) const {
    if (modules.size() != size_) return true;
    return std::ranges::any_of(ranges_, [&](const Range& range) {
      const Module& module = modules[range.position];
      return module.start != range.start || module.end != range.end;
    });
  }

  void rebuild(const std::vector<Module>& modules) {
    size_ = modules.size();
    ranges_.clear();
    for (std::size_t i = 0; i < modules.size(); ++i) ranges_.push_back({modules[i].start, modules[i].end, i});
    std::ranges::stable_sort(ranges_, {}, &Range::start);
  }

  std::size_t find(Address address) const {
    auto above = std::ranges::upper_bound(ranges_, address, {}, &Range::start);
    if (above == ranges_.begin()) return kNone;
    const Range& range = *std::prev(above);
    return address < range.end ? range.position : kNone;
  }

 private:
  struct Range {
    Address start;
    Address end;
    std::size_t position;
  };
  std::vector<Range> ranges_;
  std::size_t size_ = kNone;
};

}  // namespace stacktide
