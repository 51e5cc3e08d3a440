// 10,000 goroutines on 2 KiB stacks call unchecked code with 6 KiB frames: through pointers to functions, through virtual
// functions, and through inline functions and templates that an unchecked object file defines, too, and catch what it
// throws. Linked with that object file before and after this one.
//
//   rt_hazard [GOROUTINES]
//
// Right means: no stack has grown for it, and none was overrun (the canary of each is looked at when it switches and when it
// ends).
#include "rt_hazard.h"

#include <cstring>

#include "rt_support.h"

namespace {

struct Counts {
  long pointers = 0;
  long virtuals = 0;
  long inlines = 0;
  long caught = 0;
};

[[gnu::noinline]] void through_a_pointer(long (*function)(long), long i, Counts& counts) {
  counts.pointers += function(i) == i + kFrameSum ? 1 : 0;
}

[[gnu::noinline]] void through_a_virtual_function(Unchecked& object, long i, Counts& counts) {
  counts.virtuals += object.work(i) == i + 2 * kFrameSum ? 1 : 0;
}

[[gnu::noinline]] void through_inline_functions(long i, Counts& counts) {
  counts.inlines += shared_inline(i) == i + 3 && shared_template<5>(i) == i + 5 ? 1 : 0;
}

[[gnu::noinline]] void and_catch(long (*function)(long), Unchecked& object, long i, Counts& counts) {
  try {
    function(i);
  } catch (const Problem& problem) {
    counts.caught += problem.number == i ? 1 : 0;
  }
  try {
    object.fail(i);
  } catch (const Problem& problem) {
    counts.caught += problem.number == -i ? 1 : 0;
  }
}

void worker(long i, long (*function)(long), long (*thrower)(long), Unchecked* object, stacktide::channel<int> release,
            stacktide::wait_group finished) {
  Counts counts;
  const stacktide::stack_numbers start = stacktide::stack_info();
  for (int round = 0; round < 2; ++round) {
    through_a_pointer(function, i, counts);
    through_a_virtual_function(*object, i, counts);
    and_catch(thrower, *object, i, counts);
    if (round == 0) RT_CHECK(!release.recv().has_value());
  }
  const stacktide::stack_numbers stack = stacktide::stack_info();
  RT_CHECK(start.size == 2048 && stack.size == 2048 && stack.grows == 0 && stack.links == 0);
  // Their checked copies have large frames: what grows is the stack, and it is not overrun.
  through_inline_functions(i, counts);
  RT_CHECK(counts.pointers == 2 && counts.virtuals == 2 && counts.inlines == 1 && counts.caught == 4);
  RT_CHECK(stacktide::stack_info().grows + stacktide::stack_info().links > 0);
  finished.done();
}

}  // namespace

int main(int argc, char** argv) {
  const int n = argc > 1 ? std::atoi(argv[1]) : 10'000;
  stacktide::run([n] {
    auto release = stacktide::channel<int>::make();
    stacktide::wait_group finished;
    finished.add(n);
    long (*function)(long) = unchecked_function();
    long (*thrower)(long) = unchecked_thrower();
    Unchecked* object = unchecked_object();
    for (int i = 0; i < n; ++i) stacktide::go(worker, i, function, thrower, object, release, finished);
    // All have been there, and are on 2 KiB still.
    while (release.waiting() < static_cast<std::size_t>(n)) stacktide::yield();
    release.close();
    finished.wait();
  });
  std::printf("%d goroutines: right\n", n);
}
