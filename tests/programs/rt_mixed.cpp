// Frames that may move and frames that may not, on one stack: while a pinned frame lies on the current segment it is not
// copied but another is linked, and that one is copied again. See rt_mixed.h.
#include "rt_mixed.h"

#include <string>

#include "rt_support.h"

namespace {

struct Link {
  const Link* above;
  long value;
};

[[gnu::noinline]] long recurse(int depth, const Link* above, const long* pinned_local);

long resume(int depth, const long* pinned_local) { return recurse(depth - 1, nullptr, pinned_local); }

long recurse(int depth, const Link* above, const long* pinned_local) {
  const Link link{above, depth};
  RT_CHECK(pinned_local == nullptr || *pinned_local > depth);
  long sum = 0;
  for (const Link* at = &link; at != nullptr; at = at->above) ++sum;
  if (depth == 0) return sum;
  // Some way down, through the library.
  if (depth % 50 == 25) {
    sum += with_map(depth, resume);
  } else {
    sum += recurse(depth - 1, &link, pinned_local);
  }
  RT_CHECK(link.above == above && link.value == depth && (pinned_local == nullptr || *pinned_local > depth));
  return sum;
}

void mixed() {
  const stacktide::stack_numbers before = stacktide::stack_info();
  long first = 0;
  for (int round = 0; round < 3; ++round) {
    const long sum = recurse(300, nullptr, nullptr);
    if (round == 0) first = sum;
    RT_CHECK(sum == first);
  }
  const stacktide::stack_numbers after = stacktide::stack_info();
  RT_CHECK(after.segments == before.segments && after.links > before.links);
  stacktide::shrink_stacks();
  RT_CHECK(recurse(300, nullptr, nullptr) == first);
}

}  // namespace

int main(int argc, char** argv) { return rt::run_tests(argc, argv, {{"mixed", mixed}}); }
