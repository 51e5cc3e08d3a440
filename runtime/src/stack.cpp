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
// 0x1d.. to 0x2d..: byte pairs like 5a 1d in the middle of six significant bytes, unlike UTF-8 text, small integers or doubles.
// A 32-bit variable may share its word with the upper half of a stale pointer, so the lower half must not look like one in use either:
// from 0x9d5a0000 on, half a GiB is unlike small integers, and floats below 1e-20.
constexpr std::uint64_t kArenaHints[] = {0x1d5a9d5a0000, 0x2d5a9d5a0000, 0x1f5a9d5a0000, 0x0d5a9d5a0000};
constexpr std::uint64_t kCommitStep = std::uint64_t{4} << 20;  // cores made by a debugger hold all that is committed
constexpr unsigned kFirstClass = 11;  // 2 KiB
constexpr unsigned kLastClass = 30;   // 1 GiB

// Guards everything here; leaf lock.
constinit std::mutex arena_lock;
constinit std::uint64_t next_free = 0;  // never handed out from here on
constinit std::uint64_t committed = 0;  // readable and writable up to here
constinit std::uint64_t free_stacks[kLastClass + 1] = {};  // lowest address of the first; each links at its lowest word
constinit bool poison = false;

unsigned class_of(std::uint64_t size) { return static_cast<unsigned>(std::countr_zero(size)); }

std::uint64_t& word(std::uint64_t address) { return *reinterpret_cast<std::uint64_t*>(address); }

std::uint64_t carve(std::uint64_t size) {
  const std::uint64_t alignment = size < 4096 ? size : 4096;
  const std::uint64_t lo = (next_free + alignment - 1) & ~(alignment - 1);
  const std::uint64_t end = lo + size;
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
  return lo;
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

std::uint64_t allocate_stack(std::uint64_t size) {
  std::lock_guard guard(arena_lock);
  std::uint64_t& head = free_stacks[class_of(size)];
  std::uint64_t lo = head;
  if (lo != 0) {
    head = word(lo + 8);
  } else {
    lo = carve(size);
  }
  word(lo) = kCanary;
  add_stack_bytes(static_cast<std::int64_t>(size));
  return lo;
}

void free_stack(std::uint64_t lo, std::uint64_t size, std::uint64_t goroutine) {
  check_canary(lo, goroutine);
  if (poison) std::memset(reinterpret_cast<void*>(lo), 0xee, size);
  std::lock_guard guard(arena_lock);
  std::uint64_t& head = free_stacks[class_of(size)];
  word(lo + 8) = head;
  head = lo;
  add_stack_bytes(-static_cast<std::int64_t>(size));
}

void check_canary(std::uint64_t lo, std::uint64_t goroutine) {
  if (word(lo) == kCanary) [[likely]] return;
  char text[160];
  std::snprintf(text, sizeof text, "goroutine %lu overran its stack: the canary at %#lx is broken", goroutine, lo);
  fatal(text);
}

void poison_freed_stacks() { poison = true; }

}  // namespace stacktide::runtime
