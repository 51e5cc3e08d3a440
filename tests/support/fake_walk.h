// A walk over a FakeRuntime, and what tests of it ask for again and again.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "support/fake_runtime.h"
#include "support/fake_target.h"
#include "walk/walker.h"

namespace stacktide::test {

inline constexpr Address kLo = 0x7f0000000000;  // of the stack of goroutine n: plus n * 0x10000

inline Snapshot walk_it(FakeRuntime& runtime, FakeTarget& target) {
  runtime.place(target.memory_);
  const auto descriptor = read_descriptor(target.memory_, runtime.image.address);
  REQUIRE(descriptor);
  return walk(target, *descriptor, make_layout(*descriptor));
}

inline Snapshot walk_it(FakeRuntime& runtime) {
  FakeTarget target;
  return walk_it(runtime, target);
}

inline std::string only_damage(const Goroutine& g) {
  REQUIRE(g.damage.size() == 1);
  return g.damage[0].context;
}

}  // namespace stacktide::test
