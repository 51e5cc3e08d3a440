#include "rt_mixed.h"

#include <map>
#include <string>

#include "rt_support.h"

long with_map(int depth, Down down) {
  std::map<int, std::string> map;
  for (int i = 0; i < 12; ++i) map[i] = std::to_string(depth + i);
  const long local = depth;
  const long result = down(depth, &local);
  // Had this frame moved, the walk would run away into the old stack.
  int expected = 0;
  for (const auto& [key, value] : map) {
    RT_CHECK(key == expected && value == std::to_string(depth + expected));
    ++expected;
  }
  RT_CHECK(expected == 12 && map.begin()->first == 0 && map.rbegin()->first == 11);
  return result + local;
}
