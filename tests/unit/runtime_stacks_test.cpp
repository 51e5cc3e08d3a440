// Where stacks come from and go to, without a goroutine: the spans tile the arena whatever is taken and given back, stacks
// end where they should, empty spans go back to the system, and a P's own free stacks need no lock.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "scheduler.h"
#include "spans.h"

using namespace stacktide::runtime;

namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;

struct Stack {
  std::uint64_t lo;
  std::uint64_t size;
};

struct Arena {
  Arena() { reserve_arena(); }
} const arena;

void fill(const Stack& stack, unsigned char byte) {
  // All but the canary.
  std::memset(reinterpret_cast<void*>(stack.lo + 8), byte, stack.size - 8);
}

bool filled(const Stack& stack, unsigned char byte) {
  for (std::uint64_t at = stack.lo + 8; at < stack.lo + stack.size; ++at) {
    if (*reinterpret_cast<const unsigned char*>(at) != byte) return false;
  }
  return true;
}

// Whether the byte can be read, without a fault.
bool readable(std::uint64_t address) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const bool result = write(ends[1], reinterpret_cast<const void*>(address), 1) == 1;
  CHECK((result || errno == EFAULT));
  close(ends[0]);
  close(ends[1]);
  return result;
}

struct Mapping {
  std::uint64_t lo;
  std::uint64_t hi;
  std::uint64_t resident = 0;  // bytes
  bool dumped = true;
};

// The arena's mappings.
std::vector<Mapping> mappings() {
  std::vector<Mapping> result;
  std::ifstream smaps("/proc/self/smaps");
  for (std::string line; std::getline(smaps, line);) {
    std::uint64_t lo = 0;
    std::uint64_t hi = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &lo, &hi) == 2) {
      result.push_back({lo, hi});
    } else if (line.starts_with("Rss:")) {
      result.back().resident = std::stoul(line.substr(4)) * kKiB;
    } else if (line.starts_with("VmFlags:")) {
      result.back().dumped = line.find(" dd") == std::string::npos;
    }
  }
  std::erase_if(result, [](const Mapping& m) { return m.lo - stacktide_arena_lo >= stacktide_arena_size; });
  return result;
}

std::uint64_t resident() {
  std::uint64_t sum = 0;
  for (const Mapping& m : mappings()) sum += m.resident;
  return sum;
}

bool dumped(std::uint64_t address) {
  for (const Mapping& m : mappings()) {
    if (m.lo <= address && address < m.hi) return m.dumped;
  }
  return false;
}

// Each unit of the accessible part belongs to one span, free neighbours are joined, and no span has more free stacks than
// stacks.
void check_tiling() {
  bool free_before = false;
  std::uint64_t at = scheduler.arena_lo;
  while (at < scheduler.arena_hi) {
    const Span& span = span_of(at);
    CAPTURE(at);
    REQUIRE(span.lo == at);
    REQUIRE(span.size != 0);
    REQUIRE(span.size % kUnit == 0);
    const bool free = span.state == span_state_free;
    CHECK(!(free && free_before));
    CHECK(span.free <= span.stacks);
    if (span.state == span_state_stacks) {
      CHECK(span.first + std::uint64_t{span.stacks} * span.stack_size <= span.size);
      CHECK(find_span(at + span.size - 1) == &span);
      CHECK(&span_of(at + span.size - 1) == &span);
    }
    free_before = free;
    at += span.size;
  }
  CHECK(at == scheduler.arena_hi);
}

// A P of this thread, so that the caches are used.
class OwnP {
 public:
  OwnP() {
    m_.p = &p_;
    stacktide_thread.m = &m_;
  }
  ~OwnP() { stacktide_thread.m = nullptr; }
  P& p() { return p_; }

 private:
  M m_{};
  P p_{};
};

}  // namespace

// The first: stacks that others free are not poisoned.
TEST_CASE("what is written into a poisoned stack ends the program when the stack is used again") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    std::signal(SIGABRT, SIG_DFL);
    set_freed_stacks(freed_poison);
    for (const bool write_to_it : {false, true}) {
      const std::uint64_t lo = allocate_stack(2 * kKiB, kUnit);
      free_stack(lo, 2 * kKiB, 78);
      if (write_to_it) *reinterpret_cast<std::uint64_t*>(lo + 1000) = 5;
    }
    allocate_stack(2 * kKiB, kUnit);
    _exit(0);
  }
  close(ends[1]);
  std::string text(1000, 0);
  std::size_t length = 0;
  for (ssize_t n = 0; (n = read(ends[0], text.data() + length, text.size() - length)) > 0;)
    length += static_cast<std::size_t>(n);
  text.resize(length);
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  INFO(text);
  CHECK(text.find("fatal error: a stack that goroutine 78 gave back was written to at 0x") != std::string::npos);
}

TEST_CASE("a stack ends where the one that it replaces does, whatever its size") {
  std::vector<Stack> stacks;
  for (std::uint64_t size = 2 * kKiB; size <= kMiB; size *= 2) {
    for (std::uint64_t colour = 0; colour < kColours; ++colour) {
      const std::uint64_t like = 16 * kUnit + colour * kStackMin;
      const Stack stack{allocate_stack(size, like), size};
      CAPTURE(size);
      CAPTURE(colour);
      CHECK((stack.lo + size) % kUnit == like % kUnit);
      CHECK(*reinterpret_cast<const std::uint64_t*>(stack.lo) == kCanary);
      stacks.push_back(stack);
    }
  }
  check_tiling();
  for (const Stack& stack : stacks) free_stack(stack.lo, stack.size, 1);
  check_tiling();
}

TEST_CASE("whatever is taken and given back, stacks do not overlap and spans tile the arena") {
  std::mt19937 random(7);
  std::map<std::uint64_t, std::pair<Stack, unsigned char>> in_use;
  for (int turn = 0; turn < 20'000; ++turn) {
    if (in_use.size() < 300 && (random() % 5 != 0 || in_use.empty())) {
      const std::uint64_t size = (2 * kKiB) << random() % 8;
      const Stack stack{allocate_stack(size, random() % 2 == 0 ? 0 : kUnit + random() % kColours * kStackMin), size};
      const auto byte = static_cast<unsigned char>(random());
      fill(stack, byte);
      CHECK(in_use.emplace(stack.lo, std::pair(stack, byte)).second);
    } else {
      auto one = in_use.lower_bound(scheduler.arena_lo + random() % (scheduler.arena_hi - scheduler.arena_lo));
      if (one == in_use.end()) one = in_use.begin();
      const auto& [stack, byte] = one->second;
      CHECK(filled(stack, byte));
      CHECK(describe_stack_address(stack.lo + stack.size - 1).kind == StackPlace::in_use);
      free_stack(stack.lo, stack.size, 9);
      const StackPlace place = describe_stack_address(stack.lo + 100);
      CHECK((place.kind == StackPlace::freed && place.lo == stack.lo && place.hi == stack.lo + stack.size &&
             place.freed_by == 9));
      in_use.erase(one);
    }
    if (turn % 500 == 0) {
      check_tiling();
      return_empty_spans(true);
      check_tiling();
    }
  }
  for (const auto& [lo, used] : in_use) free_stack(lo, used.first.size, 9);
}

TEST_CASE("empty spans go back to the system, and are used for other sizes") {
  constexpr std::uint64_t kTotal = 96 * kMiB;
  std::vector<Stack> stacks;
  for (std::uint64_t bytes = 0; bytes < kTotal; bytes += 2 * kKiB) {
    stacks.push_back({allocate_stack(2 * kKiB), 2 * kKiB});
    fill(stacks.back(), 1);
  }
  CHECK(resident() >= kTotal);
  CHECK(dumped(stacks.back().lo));
  const std::uint64_t end = scheduler.arena_hi;
  for (const Stack& stack : stacks) free_stack(stack.lo, stack.size, 1);
  CHECK(resident() >= kTotal);

  SUBCASE("at once, when asked") {
    CHECK_FALSE(return_empty_spans(true));
    CHECK(resident() <= 18 * kMiB);
  }
  SUBCASE("else when they were empty at two looks") {
    return_empty_spans(true);
    return_empty_spans(false);
    std::vector<Stack> more;
    for (std::uint64_t bytes = 0; bytes < kTotal; bytes += 64 * kKiB) {
      more.push_back({allocate_stack(64 * kKiB), 64 * kKiB});
      fill(more.back(), 2);
    }
    for (const Stack& stack : more) free_stack(stack.lo, stack.size, 1);
    CHECK(return_empty_spans(false));
    CHECK(resident() >= 64 * kMiB);
    CHECK_FALSE(return_empty_spans(false));
    CHECK(resident() <= 18 * kMiB);
  }
  check_tiling();
  // The largest free span is out of dumps, and is what the next stacks of any size come from.
  std::uint64_t largest = 0;
  std::uint64_t size = 0;
  for (std::uint64_t at = scheduler.arena_lo; at < scheduler.arena_hi; at += span_of(at).size) {
    const Span& span = span_of(at);
    if (span.state == span_state_free && span.size > size) largest = span.lo, size = span.size;
  }
  CHECK(size > 32 * kMiB);
  CHECK_FALSE(dumped(largest + kUnit));
  CHECK(describe_stack_address(largest + kUnit).kind == StackPlace::unused);
  const Stack large{allocate_stack(32 * kMiB), 32 * kMiB};
  CHECK(scheduler.arena_hi == end);
  CHECK(dumped(large.lo));
  CHECK(dumped(large.lo + large.size - 1));
  free_stack(large.lo, large.size, 1);
  return_empty_spans(true);
}

TEST_CASE("free spans among others do not use up the process's mappings") {
  std::vector<Stack> stacks;
  // Beyond what is kept, every second of these makes a free span.
  for (int i = 0; i < 24'000; ++i) stacks.push_back({allocate_stack(64 * kKiB, kUnit), 64 * kKiB});
  for (std::size_t i = 0; i < stacks.size(); i += 2) free_stack(stacks[i].lo, stacks[i].size, 1);
  return_empty_spans(true);
  const std::size_t count = mappings().size();
  CHECK(count > 8000);
  CHECK(count < 20'000);
  for (std::size_t i = 1; i < stacks.size(); i += 2) free_stack(stacks[i].lo, stacks[i].size, 1);
  return_empty_spans(true);
  check_tiling();
}

TEST_CASE("a P's own free stacks are taken and given back without a lock, and never too many") {
  OwnP own;
  std::vector<Stack> stacks;
  for (int i = 0; i < 1000; ++i) stacks.push_back({allocate_stack(2 * kKiB), 2 * kKiB});
  const std::uint64_t with_all = scheduler.stack_bytes.load() - own.p().stacks.count[0] * 2 * kKiB;
  for (const Stack& stack : stacks) free_stack(stack.lo, stack.size, 1);
  // All but what it keeps of 2 KiB stacks is common again.
  CHECK(own.p().stacks.count[0] <= 128);
  CHECK(own.p().stacks.count[0] >= 64);
  CHECK(scheduler.stack_bytes.load() == with_all - (1000 - own.p().stacks.count[0]) * 2 * kKiB);
  {
    // A lock that was taken twice would never be had: let the alarm end that.
    alarm(20);
    std::lock_guard guard(arena_lock);
    for (int turn = 0; turn < 1000; ++turn) {
      Stack few[60];
      for (Stack& stack : few) stack = {allocate_stack(2 * kKiB), 2 * kKiB};
      for (const Stack& stack : few) free_stack(stack.lo, stack.size, 1);
    }
    alarm(0);
  }
  // Of the colour that is asked for.
  for (std::uint64_t size = 2 * kKiB; size <= 32 * kKiB; size *= 2) {
    for (std::uint64_t turn = 0; turn < 400; ++turn) {
      const std::uint64_t like = 2 * kUnit - turn * 7 % kColours * kStackMin;
      const std::uint64_t lo = allocate_stack(size, like);
      CHECK((lo + size) % kUnit == like % kUnit);
      free_stack(lo, size, 1);
    }
  }
  for (unsigned i = 0; i < StackCache::kSizes; ++i) CHECK(own.p().stacks.count[i] * ((2 * kKiB) << i) <= 256 * kKiB);
}

TEST_CASE("a P's own free records are used again, and never too many") {
  OwnP own;
  std::vector<Goroutine*> records;
  for (int i = 0; i < 1000; ++i) records.push_back(allocate_goroutine());
  CHECK(records.back()->id == records.front()->id + 999);
  for (Goroutine* g : records) {
    CHECK(g->own != nullptr);
    free_goroutine(g);
    CHECK(g->id == 0);
  }
  CHECK(own.p().records.count <= 256);
  const std::uint64_t used = slab_table.slabs[0].used.load();
  for (Goroutine*& g : records) g = allocate_goroutine();
  CHECK(slab_table.slabs[0].used.load() == used);
  for (Goroutine* g : records) free_goroutine(g);
}

TEST_CASE("an unmapped stack faults until many others were freed after it, and says whose it was") {
  set_freed_stacks(freed_unmap);
  const Stack stack{allocate_stack(2 * kKiB, kUnit + 5 * kStackMin), 2 * kKiB};
  CHECK((stack.lo + stack.size) % kUnit == 5 * kStackMin);
  CHECK(describe_stack_address(stack.lo).kind == StackPlace::in_use);
  CHECK(readable(stack.lo));
  free_stack(stack.lo, stack.size, 77);
  const StackPlace place = describe_stack_address(stack.lo + 8);
  CHECK(place.kind == StackPlace::unmapped);
  CHECK(place.freed_by == 77);
  CHECK(place.lo == stack.lo);
  CHECK(place.hi == stack.lo + stack.size);
  CHECK_FALSE(readable(stack.lo));
  CHECK_FALSE(readable(stack.lo + stack.size - 1));
  for (int i = 0; i < 4096; ++i) {
    CHECK_FALSE(readable(stack.lo));
    const std::uint64_t lo = allocate_stack(4 * kKiB);
    CHECK(lo != stack.lo);
    free_stack(lo, 4 * kKiB, 1);
  }
  CHECK(readable(stack.lo));
  CHECK(describe_stack_address(stack.lo).kind == StackPlace::unused);
  CHECK(mappings().size() < 20'000);
  check_tiling();
  set_freed_stacks(freed_reuse);
}

TEST_CASE("an address outside the arena, or never used, is in no stack") {
  const int local = 0;
  CHECK(describe_stack_address(reinterpret_cast<std::uint64_t>(&local)).kind == StackPlace::outside);
  CHECK(describe_stack_address(stacktide_arena_lo + stacktide_arena_size - 1).kind == StackPlace::unused);
  CHECK(describe_stack_address(stacktide_arena_lo + stacktide_arena_size).kind == StackPlace::outside);
  CHECK(describe_stack_address(0).kind == StackPlace::outside);
}
