// Compiled as any library is: without stack checks. See rt_hazard.cpp.
#include "rt_hazard.h"

namespace {

long function(long i) { return i + fill_frame<kFrame>(); }
long thrower(long i) {
  if (fill_frame<kFrame>() == kFrameSum) throw Problem{i};
  return 0;
}

class Implementation final : public Unchecked {
 public:
  long work(long i) override { return i + fill_frame<kFrame>() + fill_frame<kFrame>(); }
  long fail(long i) override {
    if (fill_frame<kFrame>() == kFrameSum) throw Problem{-i};
    return 0;
  }
};

}  // namespace

long (*unchecked_function())(long) { return function; }
long (*unchecked_thrower())(long) { return thrower; }
Unchecked* unchecked_object() {
  static Implementation object;
  // Its own copies of the shared functions, so that both files define them.
  static volatile long used = shared_inline(1) + shared_template<5>(1);
  return used == 10 ? &object : nullptr;
}
