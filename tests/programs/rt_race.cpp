// Goroutines that write one variable with nothing between them: what ThreadSanitizer must report, or its silence about the others says nothing.
#include "rt_support.h"

namespace {
volatile int shared = 0;
}

int main() {
  // They race only when they run at once, on two threads: try until they do.
  for (int attempt = 0; attempt < 100; ++attempt) {
    stacktide::run([] {
      stacktide::wait_group finished;
      finished.add(4);
      for (int i = 0; i < 4; ++i) {
        stacktide::go([finished]() mutable {
          for (int round = 0; round < 100'000; ++round) shared = shared + 1;
          finished.done();
        });
      }
      finished.wait();
    });
  }
  return 0;
}
