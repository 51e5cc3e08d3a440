// Two goroutines that write one variable with nothing between them: what ThreadSanitizer must report, or its silence about the others says nothing.
#include "rt_support.h"

namespace {
int shared = 0;
}

int main() {
  stacktide::run([] {
    stacktide::wait_group finished;
    finished.add(2);
    for (int i = 0; i < 2; ++i) {
      stacktide::go([finished]() mutable {
        // Long enough for both to run at once.
        for (int round = 0; round < 1000; ++round) {
          ++shared;
          stacktide::yield();
        }
        finished.done();
      });
    }
    finished.wait();
  });
  return 0;
}
