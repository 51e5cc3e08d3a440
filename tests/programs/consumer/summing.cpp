#include "summing.h"

#include <string>

int sum_to(int n) {
  const std::string text = "a frame with a string in it, number " + std::to_string(n);
  return n == 0 ? 0 : sum_to(n - 1) + std::stoi(text.substr(text.rfind(' ')));
}
