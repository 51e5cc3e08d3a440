// Built with UndefinedBehaviorSanitizer: its reports come out of goroutines, from small stacks, and the program goes on.
#include <climits>

#include "rt_support.h"

namespace {

// Each is undefined, reported once, and wraps.
[[gnu::noinline]] int overflow(int value) { return value + 1; }
[[gnu::noinline]] int shift(int value, int by) { return value << by; }

void reports() {
  volatile int most = INT_MAX;
  volatile int by = 40;
  RT_CHECK(overflow(most) == INT_MIN);
  static_cast<void>(shift(1, by));
  const stacktide::stack_numbers stack = stacktide::stack_info();
  RT_CHECK(stack.size <= 8192);  // the sanitizer's printing did not run here
}

}  // namespace

int main(int argc, char** argv) { return rt::run_tests(argc, argv, {{"reports", reports}}); }
