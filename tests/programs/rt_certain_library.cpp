// Not goroutine code: its frames have no stack maps.
#include "rt_certain_library.h"

Config::Config() {
  for (int i = 0; i < 10; ++i) entries[i] = i;
}

Config::~Config() = default;

int Config::sum() const {
  int sum = 0;
  for (const auto& [key, value] : entries) {
    sum += value;
    if (sum > 1000) break;  // its nodes lead somewhere else
  }
  return sum;
}
