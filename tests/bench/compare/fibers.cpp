// bench_compare_fibers: Boost.Context's side of compare.sh, for what a fiber has. A fiber is a context and a stack of fixed
// size; there is no scheduler in the library, so the least one is here: a loop that resumes whoever is next. One thread.
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>

#include <utility>
#include <vector>

#include "harness.h"

namespace {

using boost::context::fiber;

// Stacks are kept and used again, as by the other sides.
boost::context::pooled_fixedsize_stack stacks;

// Two fibers in turns: for each yield, a switch to the loop and one to the next fiber.
double yields(long n) {
  std::vector<fiber> fibers;
  for (int i = 0; i < 2; ++i) {
    fibers.emplace_back(std::allocator_arg, stacks, [n](fiber&& loop) {
      for (long left = n; left != 0; --left) loop = std::move(loop).resume();
      return std::move(loop);
    });
  }
  const auto start = bench::Clock::now();
  for (long i = 0; i <= n; ++i) {
    for (fiber& next : fibers) next = std::move(next).resume();
  }
  return bench::since(start);
}

double spawns(long n) {
  const auto start = bench::Clock::now();
  for (long i = 0; i < n; ++i) {
    fiber one(std::allocator_arg, stacks, [](fiber&& loop) { return std::move(loop); });
    one = std::move(one).resume();
  }
  return bench::since(start);
}

// Each on a stack of the library's default size.
double parked_bytes(long) {
  constexpr long kFibers = 20'000;
  std::vector<fiber> fibers;
  fibers.reserve(kFibers);
  const double before = bench::resident_bytes();
  for (long i = 0; i < kFibers; ++i) {
    fibers.emplace_back([](fiber&& loop) { return std::move(loop).resume(); });
    fibers.back() = std::move(fibers.back()).resume();
  }
  const double after = bench::resident_bytes();
  return (after - before) / kFibers;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr bench::Benchmark kBenchmarks[] = {
      {"yield", yields, 2},
      {"spawn_exit", spawns, 1},
      {"parked_bytes", parked_bytes, 0},
  };
  return bench::run_named(argc, argv, kBenchmarks);
}
