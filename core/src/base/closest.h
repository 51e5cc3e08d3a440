// Which of some words a person may have meant.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

namespace stacktide {

// How many characters have to be put in, taken out or replaced.
inline std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = i;
  for (std::size_t i = 0; i < from.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < to.size(); ++j) {
      const auto replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

// The word that is closest, if it is close: a third of its characters may differ. "" when none is.
template <class Words>
std::string_view closest(std::string_view word, const Words& words) {
  std::string_view best;
  std::size_t least = 0;
  for (const std::string_view candidate : words) {
    const auto distance = edit_distance(word, candidate);
    if (distance * 3 <= candidate.size() && (best.empty() || distance < least)) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

}  // namespace stacktide
