#include "stack.h"

#include <sys/mman.h>

#include <bit>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "fatal.h"
#include "metadata.h"

constinit std::uint64_t stacktide_arena_lo = 0;
constinit std::uint64_t stacktide_arena_size = 0;

namespace stacktide::runtime {
namespace {

constexpr std::uint64_t kArenaSize = std::uint64_t{256} << 30;
// 0x1d.. to 0x2d..: byte pairs like 5a 1d in the middle of six significant bytes, unlike UTF-8 text, small integers or
// doubles. A 32-bit variable may share its word with the upper half of a stale pointer, so the lower half must not look like
// one in use either: from 0x9d5a0000 on, half a GiB is unlike small integers, and floats below 1e-20.
constexpr std::uint64_t kArenaHints[] = {0x1d5a9d5a0000, 0x2d5a9d5a0000, 0x1f5a9d5a0000, 0x0d5a9d5a0000};
constexpr std::uint64_t kCommitStep = std::uint64_t{4} << 20;  // cores made by a debugger hold all that is committed
constexpr unsigned kLastClass = 30;                            // 1 GiB
constexpr std::uint64_t kMoveUnit = 65536;                     // moves are multiples of it
constexpr std::uint64_t kColours = kMoveUnit / kStackMin;
constexpr std::uint64_t kChunk = 4 * kMoveUnit;  // small stacks are cut from

// Guards everything here; leaf lock.
constinit std::mutex arena_lock;
constinit std::uint64_t next_free = 0;  // never handed out from here on
constinit std::uint64_t committed = 0;  // readable and writable up to here
// By class and colour: lowest address of the first; each links at its second word. Bit n of `available`: colour n has some.
constinit std::uint64_t free_stacks[kLastClass + 1][kColours] = {};
constinit std::uint32_t available[kLastClass + 1] = {};
static_assert(kColours == 32);
constinit bool poison = false;

unsigned class_of(std::uint64_t size) { return static_cast<unsigned>(std::countr_zero(size)); }

std::uint64_t& word(std::uint64_t address) { return *reinterpret_cast<std::uint64_t*>(address); }

unsigned colour_of(std::uint64_t hi) { return static_cast<unsigned>(hi % kMoveUnit / kStackMin); }

// Makes the arena readable and writable up to `end`, which is handed out next.
void commit(std::uint64_t end) {
  if (end > stacktide_arena_lo + stacktide_arena_size) fatal("out of address space for goroutine stacks");
  if (end > committed) {
    std::uint64_t step = (end - committed + kCommitStep - 1) & ~(kCommitStep - 1);
    const std::uint64_t left = stacktide_arena_lo + stacktide_arena_size - committed;
    if (step > left) step = left;
    if (mprotect(reinterpret_cast<void*>(committed), step, PROT_READ | PROT_WRITE) != 0) {
      fatal("out of memory for goroutine stacks");
    }
    madvise(reinterpret_cast<void*>(committed), step, MADV_DODUMP);
    committed += step;
    publish_arena(stacktide_arena_lo, committed);
  }
  next_free = end;
}

void push(std::uint64_t lo, std::uint64_t size) {
  const unsigned colour = colour_of(lo + size);
  std::uint64_t& head = free_stacks[class_of(size)][colour];
  word(lo + 8) = head;
  head = lo;
  available[class_of(size)] |= 1U << colour;
}

std::uint64_t pop(unsigned size_class, unsigned colour) {
  std::uint64_t& head = free_stacks[size_class][colour];
  const std::uint64_t lo = head;
  head = word(lo + 8);
  if (head == 0) available[size_class] &= ~(1U << colour);
  return lo;
}

// New stacks of this size on the free lists, at least one of this colour.
void carve(std::uint64_t size, unsigned colour) {
  const std::uint64_t start = (next_free + kMoveUnit - 1) & ~(kMoveUnit - 1);
  if (size < kMoveUnit) {
    commit(start + kChunk);
    // Backwards, so that they are handed out from the lowest on.
    const std::uint64_t phase = colour * kStackMin % size;
    std::uint64_t lo = start + phase + (kChunk - phase) / size * size;
    while (lo > start + phase) push(lo -= size, size);
  } else {
    const std::uint64_t lo = start + colour * kStackMin;
    commit(lo + size);
    push(lo, size);
  }
}

}  // namespace

void reserve_arena() {
  if (stacktide_arena_size != 0) return;
  for (std::uint64_t hint : kArenaHints) {
    void* at = mmap(reinterpret_cast<void*>(hint), kArenaSize, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (at == MAP_FAILED) continue;
    // Two goroutines share a page; huge pages would make a parked one cost 2 MiB.
    madvise(at, kArenaSize, MADV_NOHUGEPAGE);
    // gcore would write even what is not accessible: 256 GiB of nothing.
    madvise(at, kArenaSize, MADV_DONTDUMP);
    next_free = committed = stacktide_arena_lo = reinterpret_cast<std::uint64_t>(at);
    stacktide_arena_size = kArenaSize;
    return;
  }
  fatal("cannot reserve 256 GiB of address space for goroutine stacks (ulimit -v?)");
}

std::uint64_t allocate_stack(std::uint64_t size, std::uint64_t like_hi) {
  std::lock_guard guard(arena_lock);
  const unsigned size_class = class_of(size);
  unsigned colour = colour_of(like_hi);
  if (like_hi == 0 && available[size_class] != 0) colour = static_cast<unsigned>(std::countr_zero(available[size_class]));
  if ((available[size_class] >> colour & 1) == 0) carve(size, colour);
  const std::uint64_t lo = pop(size_class, colour);
  word(lo) = kCanary;
  add_stack_bytes(static_cast<std::int64_t>(size));
  return lo;
}

void free_stack(std::uint64_t lo, std::uint64_t size, std::uint64_t goroutine) {
  check_canary(lo, goroutine);
  if (poison) std::memset(reinterpret_cast<void*>(lo), 0xee, size);
  std::lock_guard guard(arena_lock);
  push(lo, size);
  add_stack_bytes(-static_cast<std::int64_t>(size));
}

void check_canary(std::uint64_t lo, std::uint64_t goroutine) {
  if (word(lo) == kCanary) [[likely]]
    return;
  char text[160];
  std::snprintf(text, sizeof text, "goroutine %lu overran its stack: the canary at %#lx is broken", goroutine, lo);
  fatal(text);
}

void poison_freed_stacks() { poison = true; }

}  // namespace stacktide::runtime
