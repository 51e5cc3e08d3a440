// Compiled without stack checks, with -fstack-clash-protection -fstack-protector-strong, and no endbr64 at the beginning: see rt_flags.cpp.
#include "rt_flags.h"

#include <cstring>

namespace {

// Its first instruction is the `leaq -N(%rsp), %r11` of a loop of probes.
long fill(int value) {
  volatile char room[128 * 1024];
  for (std::size_t i = 0; i < sizeof room; i += 512) room[i] = static_cast<char>(value);
  long sum = 0;
  for (std::size_t i = 0; i < sizeof room; i += 512) sum += room[i];
  return sum;
}

}  // namespace

Fill large_frame() { return fill; }

int call_back(Callback callback, int value) {
  volatile char room[8192];
  for (std::size_t i = 0; i < sizeof room; i += 512) room[i] = static_cast<char>(value);
  return callback(value) + room[512];
}
