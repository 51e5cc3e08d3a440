// A class of an ordinary library, whose heap blocks point back at the object.
#pragma once

#include <map>

struct Config {
  Config();
  ~Config();
  int sum() const;
  std::map<int, int> entries;
};
