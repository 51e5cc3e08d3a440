// Functions to step through while stacks move, for tests/e2e/*_step_test.cpp. Each case runs in a goroutine of its own, so
// from the smallest stack.
//
//   rt_stepping [BUSY [TURNS]]
//
// BUSY goroutines (0) call stepped() all the time, TURNS times each (0: until the cases are done). Built MOVABLE its stacks
// move; built without, they are linked. Not in an unnamed namespace: LLDB 19 loses such names at -O2.
#include <cstdlib>

#include "rt_support.h"

using Channel = stacktide::channel<int>;

// What the compiler must not look through.
[[gnu::noinline]] int opaque(int value) {
  asm volatile("" : "+r"(value));
  return value;
}

// Some 300 bytes a call: 40 of them move the smallest stack three times.
[[gnu::noinline]] int deep(int depth) {
  volatile char room[200];
  room[0] = 1;
  const int below = depth > 0 ? deep(depth - 1) : 0;
  return below + room[0];
}

[[gnu::noinline]] int stepped(int value) {
  int sum = opaque(value);
  sum += deep(39);  // grows
  sum = opaque(sum);
  sum += deep(50);  // grows again
  return opaque(sum);
}

// Steps over the call at depth 3 pass these lines three times more, at other depths.
[[gnu::noinline]] int recursive(int depth) {
  int got = opaque(depth);
  if (depth > 0) got += recursive(depth - 1);  // recurses
  got += deep(depth == 0 ? 60 : 1);
  return opaque(got);  // after the recursion
}

[[gnu::noinline]] int throwing(int value) {
  const int grown = deep(40);
  if (opaque(value) != 0) throw grown;
  return 0;
}

[[gnu::noinline]] int through(int value) {
  int result = opaque(value);
  result += throwing(result);  // throws
  return opaque(result);
}

[[gnu::noinline]] int catching(int value) {
  int result = 0;
  try {
    result = through(value);  // catches
    result = opaque(result);
  } catch (int thrown) {
    result = opaque(thrown);  // caught
  }
  return opaque(result);
}

[[gnu::noinline]] int around(int value) {
  const int result = catching(value);
  return opaque(result);
}

// Goes on on whichever thread is free.
[[gnu::noinline]] int moving_about(int turns) {
  int sum = 0;
  for (int i = 0; i < turns; ++i) {
    stacktide::yield();
    sum += deep(i % 30);
  }
  return sum;
}

[[gnu::noinline]] int migrating(int value) {
  int sum = opaque(value);
  sum += moving_about(100);  // migrates
  return opaque(sum);
}

[[gnu::noinline]] int waiting(Channel numbers) {
  int first = numbers.recv().value_or(0);  // parks
  first += deep(45);
  return opaque(first);
}

[[gnu::noinline]] int outer_waiting(Channel numbers) {
  const int number = waiting(numbers);
  return opaque(number + 1);  // after waiting
}

[[gnu::noinline]] double halving(double value) {
  asm volatile("" : "+x"(value));
  return value / (1 + deep(40));
}

[[gnu::noinline]] double half_of(int value) {
  const double half = halving(value);  // halves
  return half + opaque(1);
}

[[gnu::noinline]] void all_parked() { opaque(0); }
[[gnu::noinline]] void all_done() { opaque(0); }

int main(int argc, char** argv) {
  const int busy = argc > 1 ? std::atoi(argv[1]) : 0;
  const int turns = argc > 2 ? std::atoi(argv[2]) : 0;
  stacktide::run([busy, turns] {
    auto results = Channel::make();
    auto numbers = Channel::make();
    auto stop = Channel::make(1);
    auto run_case = [results](auto function, auto argument) mutable {
      stacktide::go([results, function, argument]() mutable { results.send(static_cast<int>(function(argument))); });
      return results.recv().value_or(-1);
    };
    stacktide::wait_group finished;
    finished.add(busy);
    for (int i = 0; i < busy; ++i) {
      stacktide::go([stop, turns, i, finished]() mutable {
        for (int turn = 0; turns == 0 ? stop.size() == 0 : turn < turns; ++turn) {
          stepped(i);
          stacktide::yield();
        }
        finished.done();
      });
    }
    RT_CHECK(run_case(stepped, 7) == 7 + 40 + 51);
    RT_CHECK(run_case(recursive, 3) == 6 + 61 + 3 * 2);
    RT_CHECK(run_case(around, 1) == 41);
    RT_CHECK(run_case(migrating, 1) > 100);
    RT_CHECK(run_case(half_of, 42) == 2);
    stacktide::go([results, numbers]() mutable { results.send(outer_waiting(numbers)); });
    while (numbers.waiting() == 0) stacktide::yield();
    all_parked();
    numbers.send(5);
    RT_CHECK(results.recv().value_or(0) == 5 + 46 + 1);
    stop.send(1);
    finished.wait();
    all_done();
  });
  std::puts("done");
}
