// Virtual calls through a second and a virtual base, which the compiler sends through small functions without a stack check that adjust
// `this`: the callee is goroutine code all the same, and may park.
#include "rt_support.h"

namespace {

struct First {
  virtual ~First() = default;
  virtual int first() = 0;
  long pad[3] = {};
};
struct Second {
  virtual ~Second() = default;
  virtual int receive(stacktide::channel<int> from) = 0;
  long pad[5] = {};
};
struct Shared {
  virtual ~Shared() = default;
  virtual int receive_shared(stacktide::channel<int> from) = 0;
};
struct Both final : First, Second, virtual Shared {
  int first() override { return 1; }
  int receive(stacktide::channel<int> from) override { return from.recv().value() + offset; }
  int receive_shared(stacktide::channel<int> from) override { return from.recv().value() - offset; }
  int offset = 100;
};

// Kept from the optimiser, so that the calls are virtual.
[[gnu::noinline]] int through_second(Second* second, stacktide::channel<int> from) { return second->receive(from); }
[[gnu::noinline]] int through_shared(Shared* shared, stacktide::channel<int> from) { return shared->receive_shared(from); }

void adjusted_calls_park() {
  auto numbers = stacktide::channel<int>::make();
  stacktide::go([numbers]() mutable {
    for (int i = 0; i < 20; ++i) numbers.send(i);
  });
  Both* both = new Both;
  for (int i = 0; i < 20; i += 2) {
    RT_CHECK(through_second(both, numbers) == i + 100);
    RT_CHECK(through_shared(both, numbers) == i + 1 - 100);
  }
  delete both;
}

}  // namespace

int main(int argc, char** argv) { return rt::run_tests(argc, argv, {{"adjusted_calls_park", adjusted_calls_park}}); }
