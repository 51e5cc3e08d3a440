// Exceptions on goroutine stacks, built pinned (they cross segment boundaries) and MOVABLE (stacks move between throw and
// catch): 100 frames deep, caught at several levels, with destructors that call and catch themselves, rethrown, nested, held
// by exception_ptr, across parks.
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "rt_support.h"

namespace {

struct Problem : std::runtime_error {
  Problem(const std::string& what, int level) : std::runtime_error(what), at(level) {}
  int at;
};

// Needs stack, and throws and catches in there.
[[gnu::noinline]] int work(int depth) {
  volatile char room[120];
  room[0] = 1;
  if (depth > 0) return work(depth - 1) + room[0];
  try {
    throw depth;
  } catch (int value) {
    return value;
  }
}

// Its destructor runs while the exception is in flight.
struct Guard {
  Guard(int& counter_to_use, int level) : counter(counter_to_use), text("guard " + std::to_string(level)), expected(text) {}
  ~Guard() {
    RT_CHECK(text == expected && work(15) == 15);
    ++counter;
  }
  int& counter;
  std::string text;
  std::string expected;
};

[[gnu::noinline]] int fall(int depth, int& destroyed, const std::string& message) {
  const Guard guard(destroyed, depth);
  if (depth == 0) throw Problem(message, 100);
  return fall(depth - 1, destroyed, message) + 1;
}

void hundred_frames() {
  int destroyed = 0;
  bool caught = false;
  try {
    fall(100, destroyed, "from the bottom of a hundred frames");
  } catch (const std::exception& problem) {
    caught = std::string(problem.what()) == "from the bottom of a hundred frames";
    RT_CHECK(work(20) == 20 && dynamic_cast<const Problem&>(problem).at == 100);
  }
  RT_CHECK(caught && destroyed == 101 && std::uncaught_exceptions() == 0);
}

// Caught each ten levels, counted, and thrown on: by itself, as another type, or nested.
[[gnu::noinline]] int relay(int depth, int& caught) {
  volatile char room[64];
  room[0] = 1;
  if (depth == 0) throw Problem("relay", 0);
  if (depth % 10 != 0) return relay(depth - 1, caught) + room[0];
  try {
    return relay(depth - 1, caught) + room[0];
  } catch (Problem& problem) {
    ++caught;
    problem.at += depth;
    RT_CHECK(work(10) == 10);
    if (depth % 20 == 0) throw;
    const Problem copy = problem;
    throw Problem(copy);
  }
}

void relayed() {
  int caught = 0;
  try {
    relay(100, caught);
    RT_CHECK(false);
  } catch (const Problem& problem) {
    RT_CHECK(caught == 10 && problem.at == 10 + 20 + 30 + 40 + 50 + 60 + 70 + 80 + 90 + 100);
  }
}

[[gnu::noinline]] void nest(int depth) {
  try {
    if (depth == 0) throw Problem("innermost", 0);
    nest(depth - 1);
  } catch (...) {
    std::throw_with_nested(Problem("level " + std::to_string(depth), depth));
  }
}

[[gnu::noinline]] int unnest(const std::exception& outer, int level) {
  volatile char room[80];
  room[0] = 1;
  try {
    std::rethrow_if_nested(outer);
  } catch (const std::exception& inner) {
    return unnest(inner, level - 1) + room[0];
  }
  return 0;
}

void nested() {
  try {
    nest(25);
    RT_CHECK(false);
  } catch (const std::exception& outer) {
    RT_CHECK(std::string(outer.what()) == "level 25" && unnest(outer, 25) == 26);
  }
}

// The same from library code: the exception starts on the system stack.
[[gnu::noinline]] std::size_t out_of_range_below(int depth, const std::vector<int>& values) {
  const std::string local = "x" + std::to_string(depth);
  if (depth == 0) return static_cast<std::size_t>(values.at(1000)) + local.size();
  return out_of_range_below(depth - 1, values) + local.size();
}

void from_library_code() {
  const std::vector<int> values(10);
  for (int round = 0; round < 3; ++round) {
    try {
      out_of_range_below(60, values);
      RT_CHECK(false);
    } catch (const std::out_of_range&) {
      RT_CHECK(work(12) == 12);
    }
    try {
      (void)std::stoi("not a number");
      RT_CHECK(false);
    } catch (const std::invalid_argument& problem) {
      RT_CHECK(std::string(problem.what()) == "stoi");
    }
  }
}

// And through library code: a callback throws.
int throwing_compare(const void* a, const void* b) {
  if (*static_cast<const int*>(a) == 7 || *static_cast<const int*>(b) == 7) throw Problem("seven", 7);
  return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

void through_library_code() {
  int values[12] = {5, 3, 9, 1, 12, 8, 7, 4, 2, 6, 10, 11};
  try {
    std::qsort(values, 12, sizeof values[0], throwing_compare);
    RT_CHECK(false);
  } catch (const Problem& problem) {
    RT_CHECK(problem.at == 7 && work(8) == 8);
  }
}

// An exception in flight, and one being handled, while the goroutine waits and perhaps goes on on another thread.
struct YieldingGuard {
  explicit YieldingGuard(int& counter_to_use) : counter(counter_to_use) {}
  ~YieldingGuard() {
    RT_CHECK(std::uncaught_exceptions() == 1);
    for (int i = 0; i < 3; ++i) stacktide::yield();
    RT_CHECK(std::uncaught_exceptions() == 1 && work(9) == 9);
    ++counter;
  }
  int& counter;
};

[[gnu::noinline]] void throw_below_guards(int depth, int& destroyed) {
  const YieldingGuard guard(destroyed);
  if (depth == 0) throw Problem("in flight", 3);
  throw_below_guards(depth - 1, destroyed);
}

void across_parks() {
  int destroyed = 0;
  int caught = 0;
  for (int round = 0; round < 3; ++round) {
    try {
      try {
        throw_below_guards(4, destroyed);
      } catch (const Problem& problem) {
        for (int i = 0; i < 3; ++i) stacktide::yield();
        RT_CHECK(std::current_exception() != nullptr && problem.at == 3 && std::uncaught_exceptions() == 0);
        try {
          throw std::string("in between");
        } catch (const std::string& text) {
          stacktide::yield();
          RT_CHECK(text == "in between");
        }
        stacktide::yield();
        throw;
      }
    } catch (const std::exception& problem) {
      ++caught;
      RT_CHECK(std::string(problem.what()) == "in flight");
    }
  }
  RT_CHECK(destroyed == 15 && caught == 3 && std::current_exception() == nullptr);
}

void held_and_thrown_later() {
  std::vector<std::exception_ptr> held;
  for (int i = 0; i < 5; ++i) {
    try {
      int destroyed = 0;
      fall(i * 9, destroyed, "held " + std::to_string(i));
    } catch (...) {
      held.push_back(std::current_exception());
    }
  }
  for (int i = 0; i < 5; ++i) {
    try {
      std::rethrow_exception(held[static_cast<std::size_t>(i)]);
    } catch (const Problem& problem) {
      RT_CHECK(problem.what() == "held " + std::to_string(i) && work(11) == 11);
    }
  }
}

void out_of_blocking() {
  for (int i = 0; i < 5; ++i) {
    try {
      stacktide::blocking([i] {
        if (i % 2 == 0) throw Problem("blocked", i);
      });
      RT_CHECK(i % 2 == 1);
    } catch (const Problem& problem) {
      RT_CHECK(problem.at == i);
    }
    RT_CHECK(stacktide::on_system_stack([i] { return std::to_string(i); }) == std::to_string(i));
  }
}

}  // namespace

int main(int argc, char** argv) {
  return rt::run_tests(argc, argv,
                       {{"hundred_frames", hundred_frames},
                        {"relayed", relayed},
                        {"nested", nested},
                        {"from_library_code", from_library_code},
                        {"through_library_code", through_library_code},
                        {"across_parks", across_parks},
                        {"held_and_thrown_later", held_and_thrown_later},
                        {"out_of_blocking", out_of_blocking}});
}
