// Runs generated loops (tests/fuzz/loops.py) on goroutine stacks and compares with what ordinary code computes. To be run
// with STACKTIDE_STRESS=move, so that each call in a loop moves the array that the loop walks.
//
// Prints how many functions were wrong, and their numbers; exit code 0 if none was.
#include "rt_loops.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "rt_support.h"

const Loops*& Loops::first(bool checked) {
  static const Loops* lists[2];
  return lists[checked ? 1 : 0];
}

namespace {

struct Arguments {
  long lo;
  unsigned long seed;
};
// lo times the size of an element is far from any stack, whatever sign it has.
constexpr Arguments kArguments[] = {{1'000'003, 1}, {-77'777, 12345}, {0, 99}, {123'456'789, 0xfedcba9876543210}};

// In a frame of its own, at a depth that differs, so that stacks end in different places.
[[gnu::noinline]] unsigned long run_one(const Loop& loop, const Arguments& arguments) {
  unsigned long result = 0;
  auto call = [&] { result = loop.function(arguments.lo, arguments.seed); };
  rt::below(loop.number % 7, call);
  return result;
}

}  // namespace

int main() {
  std::map<int, std::vector<unsigned long>> right;
  for (const Loops* loops = Loops::first(false); loops != nullptr; loops = loops->next()) {
    for (const Loop& loop : *loops) {
      for (const Arguments& a : kArguments) right[loop.number].push_back(loop.function(a.lo, a.seed));
    }
  }
  std::set<int> wrong;
  std::size_t seen = 0;
  stacktide::run([&] {
    auto results = stacktide::channel<std::pair<int, bool>>::make(16);
    for (const Loops* loops = Loops::first(true); loops != nullptr; loops = loops->next()) {
      for (const Loop& loop : *loops) {
        ++seen;
        stacktide::go([loop, expected = &right.at(loop.number), results]() mutable {
          bool same = true;
          for (std::size_t i = 0; i < std::size(kArguments); ++i)
            same = same && run_one(loop, kArguments[i]) == (*expected)[i];
          results.send({loop.number, same});
        });
        const auto result = results.recv();
        if (!result->second) wrong.insert(result->first);
      }
    }
  });
  std::printf("%zu of %zu functions wrong", wrong.size(), seen);
  for (const int number : wrong) std::printf(" %d", number);
  std::printf("\n");
  if (seen == 0 || seen != right.size()) return 2;
  return wrong.empty() ? 0 : 1;
}
